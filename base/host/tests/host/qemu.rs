//! QEMU of this machine: it starts, speaks, fails with its own words, and never outlives its caller.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use keel_artefact::{Arch, Interrupt};
use keel_host::{
    Error, Program,
    qemu::{Boot, Drive, DriveFormat, Machine, Network},
};

fn machine(scratch: &Path, boot: Boot) -> Machine {
    // A comma in a path is what QEMU's options trip over.
    let folder = scratch.join("with,comma");
    fs::create_dir_all(&folder).unwrap();
    let disk = folder.join("disk.raw");
    fs::write(&disk, vec![0; 1 << 20]).unwrap();
    Machine {
        arch: Arch::X86_64,
        memory_mib: 256,
        cpus: 1,
        boot,
        drives: vec![Drive {
            file: disk,
            format: DriveFormat::Raw,
            read_only: false,
            snapshot: true,
            is_cd: false,
        }],
        console: folder.join("console"),
        port: Some(("keel.test".to_owned(), folder.join("port"))),
        credentials: vec![("keel.test".to_owned(), b"yes, it is".to_vec())],
        network: None,
        tpm: None,
        kvm: false,
        scratch: scratch.to_owned(),
    }
}

#[test]
fn qemu_fails_in_its_own_words() {
    let scratch = tempfile::tempdir().unwrap();
    let kernel = Boot::Kernel {
        kernel: "/no/such/kernel".into(),
        initrd: None,
        command_line: "console=ttyS0".to_owned(),
    };
    let mut running = machine(scratch.path(), kernel).start().unwrap();
    let error = running
        .wait(Duration::from_secs(120), &Interrupt::default())
        .unwrap_err();
    let Error::Failed {
        program,
        last,
        command,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*program, Program::Qemu(Arch::X86_64).name());
    assert!(
        last.iter().any(|line| line.contains("/no/such/kernel")),
        "{error}"
    );
    assert!(command.contains("-nic none"), "{command}");
}

#[test]
fn firmware_starts_speaks_and_is_stopped() {
    let scratch = tempfile::tempdir().unwrap();
    let machine = Machine {
        network: Some(Network {
            is_closed: true,
            ..Network::default()
        }),
        tpm: Some(scratch.path().join("tpm.socket")),
        ..machine(scratch.path(), Boot::Uefi)
    };
    let mut running = machine.start().unwrap();
    let started = Instant::now();
    while fs::read(&machine.console).unwrap_or_default().is_empty() {
        assert_eq!(running.ended().unwrap(), None);
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "the firmware says nothing"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("UEFI speaks after {:?}", started.elapsed());
    let (_, port) = machine.port.as_ref().unwrap();
    std::os::unix::net::UnixStream::connect(port).unwrap();
    // QEMU has started the TPM: what that keeps is there.
    assert!(scratch.path().join("tpm/tpm2-00.permall").exists());
    let process = running.id();
    assert!(is_alive(process));
    let status = running
        .wait(Duration::from_millis(200), &Interrupt::default())
        .unwrap();
    assert_eq!(status, keel_sandbox::Status::TimedOut);
    assert!(!is_alive(process));
    assert!(
        fs::read(&machine.drives[0].file)
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn a_machine_dies_with_whoever_started_it() {
    let scratch = tempfile::tempdir().unwrap();
    let machine = machine(scratch.path(), Boot::Uefi);
    let process = std::thread::spawn(move || {
        let running = machine.start().unwrap();
        let process = running.id();
        assert!(is_alive(process));
        // As if killed: nothing of ours runs at the end.
        std::mem::forget(running);
        process
    });
    let process = process.join().unwrap();
    let started = Instant::now();
    while is_alive(process) {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "QEMU outlives its caller"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does this process run? One that ended and was not waited for does not.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}
