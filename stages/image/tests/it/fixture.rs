//! Packages, a definition, and tools of this machine in the place of stage0's.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, OnceLock},
};

use keel_artefact::{Arch, Epoch, Interrupt, RootPath, Sha256, event::Silent};
use keel_config::{
    Image, Location,
    image::{Boot, Capabilities, Container, Disk, FileSystem, Format, Os, Qcow2Compression, Test},
};
use keel_host::xorriso;
use keel_image::{
    Built, Candidate, Error, Material, Origin, Request, Source,
    audit::Foreign,
    lock::Locked,
    provenance::{self, Revision, Signer},
    tools::{Erofs, Ext4, Failure, Iso, Squashfs, Tools},
};
use keel_rpm::sign::Key;
use keel_store::Store;

/// `SOURCE_DATE_EPOCH` of every package.
pub const CLOCK: u64 = 1_767_225_600;

/// Runs a program; panics with what to install when it is not there.
pub fn tool(package: &str, argv: &[&str]) -> Output {
    let found = Command::new(argv[0])
        .args(&argv[1..])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    found.unwrap_or_else(|error| panic!("`{}`: {error}; apt-get install {package}", argv[0]))
}

/// Runs a judge, which must be content; gives what it says.
pub fn judge(package: &str, argv: &[&str]) -> String {
    let output = tool(package, argv);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{argv:?}: {}\n{text}", output.status);
    text
}

/// Is this run by root? What needs root says so when it is not.
pub fn is_root() -> bool {
    String::from_utf8_lossy(&tool("coreutils", &["id", "-u"]).stdout).trim() == "0"
}

/// Whether this is root. If not, what is not tested for that reason goes into the file that `KEEL_TEST_NOT_RUN` names:
/// `make test` ends with it.
pub fn is_root_or_says(not_run: &str) -> bool {
    let is_root = is_root();
    if !is_root && let Some(path) = std::env::var_os("KEEL_TEST_NOT_RUN") {
        let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{not_run}").unwrap();
    }
    is_root
}

/// Packages in a temporary folder.
pub struct Packages {
    dir: tempfile::TempDir,
    pub all: Vec<Candidate>,
}

impl Packages {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            all: Vec::new(),
        }
    }

    /// Builds a package: lines of its preamble, of `%install` (in the build root) and of `%files`.
    pub fn add(&mut self, name: &str, preamble: &str, install: &str, files: &str) -> &mut Self {
        let top = self.dir.path().join(format!("{name}-{}", self.all.len()));
        fs::create_dir_all(&top).unwrap();
        let spec = top.join("x.spec");
        let text = format!(
            "Name: {name}\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nAutoReq: no\n{preamble}\n\
             %description\nx\n%install\nmkdir -p %{{buildroot}}\ncd %{{buildroot}}\n{install}\n%files\n{files}\n"
        );
        fs::write(&spec, text).unwrap();
        let define = |text: &str| ["--define".to_owned(), text.to_owned()];
        let mut command = Command::new("rpmbuild");
        command
            .arg("-bb")
            .args(define(&format!("_topdir {}", top.display())));
        for text in [
            "_buildhost test",
            "use_source_date_epoch_as_buildtime 1",
            "clamp_mtime_to_source_date_epoch 1",
            "__os_install_post %{nil}",
            "debug_package %{nil}",
            "_binary_payload w3.zstdio",
            "_build_id_links none",
            "_binaries_in_noarch_packages_terminate_build 0",
        ] {
            command.args(define(text));
        }
        let output = command
            .arg(&spec)
            .env("SOURCE_DATE_EPOCH", CLOCK.to_string())
            .output();
        let output = output.unwrap_or_else(|error| panic!("rpmbuild: {error}; apt-get install rpm"));
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let folder = top.join("RPMS/noarch");
        let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let info = keel_rpm::read(&file).unwrap();
        self.all.push(Candidate {
            info,
            sha256: Sha256::of_file(&file).unwrap().0,
            origin: origin(name, &file),
            file,
        });
        self
    }

    /// A tree like a real one: merged /usr, users, a capability, hard links, long names.
    pub fn base() -> Self {
        let mut new = Self::new();
        new.add(
            "base",
            "Provides: /bin/sh",
            "mkdir -p usr/bin usr/lib/sysusers.d usr/lib/tmpfiles.d usr/lib64 usr/lib/sysimage/rpm usr/share/x root tmp\n\
             ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64\n\
             printf 'ID=test\\nVERSION_ID=1\\nPRETTY_NAME=\"Test 1\"\\n' > usr/lib/os-release\n\
             printf 'g tty 5\\nu daemon 2 \"A daemon\" /var\\n' > usr/lib/sysusers.d/base.conf\n\
             printf 'L /etc/os-release - - - - ../usr/lib/os-release\\n' > usr/lib/tmpfiles.d/base.conf",
            "%dir /usr\n%dir /usr/bin\n%dir /usr/lib\n%dir /usr/lib64\n/bin\n/lib\n/lib64\n/usr/lib/os-release\n\
             /usr/lib/sysusers.d\n/usr/lib/tmpfiles.d\n%dir /usr/lib/sysimage\n%dir /usr/lib/sysimage/rpm\n\
             %attr(700,root,root) %dir /root\n%attr(1777,root,root) %dir /tmp",
        );
        let long = "a".repeat(120);
        new.add(
            "tool",
            "Requires: base\nProvides: capability = 3",
            &format!(
                "mkdir -p bin lib64 usr/share/tool var/spool; echo '#!/bin/sh' > bin/tool; chmod 755 bin/tool\n\
                 ln bin/tool bin/other; echo secret > usr/share/tool/secret; echo data > lib64/data\n\
                 mkdir -p usr/share/tool/{long}; echo x > usr/share/tool/{long}/{long}; touch usr/share/tool/ünï"
            ),
            &format!(
                "%caps(cap_net_raw=ep) /bin/tool\n/bin/other\n/lib64/data\n%dir /usr/share/tool\n\
                 %attr(640,daemon,tty) /usr/share/tool/secret\n/usr/share/tool/{long}\n/usr/share/tool/ünï"
            ),
        );
        new
    }

    /// What a disk needs besides: something like a kernel and an EFI program.
    pub fn bootable() -> Self {
        let mut new = Self::base();
        let stub = new.dir.path().join("stub");
        fs::write(&stub, stub_bytes()).unwrap();
        let stub = stub.display();
        new.add(
            "boot",
            "",
            &format!(
                "mkdir -p usr/lib/systemd/boot/efi; cp {stub} usr/lib/systemd/boot/efi/linuxx64.efi.stub\n\
                 cp {stub} usr/lib/systemd/boot/efi/systemd-bootx64.efi"
            ),
            "/usr/lib/systemd",
        );
        new.add(
            "kernel",
            "",
            "mkdir -p usr/lib/modules/6.12.0 usr/lib/kernel/cmdline.d\n\
             yes kernel | head -c 3000000 > usr/lib/modules/6.12.0/vmlinuz\n\
             printf '# why\\nconsole=tty0 hard=1\\n' > usr/lib/kernel/cmdline.d/50-kernel.conf",
            "/usr/lib/modules/6.12.0\n/usr/lib/kernel",
        );
        new
    }
}

/// The smallest EFI program that has room for more sections: it returns at once.
pub fn stub_bytes() -> Vec<u8> {
    let mut pe = vec![0_u8; 0x800];
    let mut put = |at: usize, bytes: &[u8]| pe[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    let file_header = [0x8664_u16, 1, 0, 0, 0, 0, 0, 0, 240, 0x22]
        .map(u16::to_le_bytes)
        .concat();
    put(0x84, &file_header);
    let optional = 0x98;
    put(optional, &0x20b_u16.to_le_bytes());
    for (at, value) in [
        (4, 0x200_u32),
        (16, 0x1000),
        (20, 0x1000),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x2000),
        (60, 0x600),
        (108, 16),
    ] {
        put(optional + at, &value.to_le_bytes());
    }
    put(optional + 24, &0x1_0000_0000_u64.to_le_bytes());
    put(optional + 68, &10_u16.to_le_bytes());
    let section = optional + 240;
    put(section, b".text");
    for (at, value) in [
        (8, 3_u32),
        (12, 0x1000),
        (16, 0x200),
        (20, 0x600),
        (36, 0x6000_0020),
    ] {
        put(section + at, &value.to_le_bytes());
    }
    put(0x600, &[0x31, 0xc0, 0xc3]);
    pe
}

/// A definition with these packages.
pub fn image(name: &str, packages: &[&str], formats: &[Format]) -> Image {
    let is_disk = formats.iter().any(|format| format.is_disk());
    let is_container = formats.iter().any(|format| format.is_container());
    Image {
        name: name.parse().unwrap(),
        description: "A test".into(),
        capabilities: Capabilities {
            container: is_container,
            machine_bootable: is_disk,
            ..Default::default()
        },
        definition: PathBuf::new(),
        kind: keel_config::image::Kind::Keel,
        profile: None,
        test_suites: vec![],
        channels: vec![],
        inherits: None,
        purpose: None,
        packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
        exclude: vec![],
        install_weak_deps: false,
        documentation: true,
        languages: None,
        formats: formats.to_vec(),
        container: is_container.then(|| Container {
            entrypoint: vec!["/bin/tool".into()],
            cmd: vec!["--help".into()],
            env: BTreeMap::from([("LANG".into(), "C.UTF-8".into())]),
            labels: BTreeMap::from([("a".into(), "b".into()), ("c".into(), "d".into())]),
            workdir: Some("/tmp".parse().unwrap()),
            user: Some("daemon".into()),
            layers: keel_config::image::Layers::default(),
            said_at: BTreeMap::new(),
        }),
        disk: is_disk.then(|| Disk {
            size: Some(64 << 20),
            esp_size: 40 << 20,
            root_fs: FileSystem::Erofs,
            root_label: "test".into(),
            root_size: None,
            root_mount_options: None,
            partitions: vec![],
            qcow2_compression: Qcow2Compression::Zstd,
            kernel: Some("kernel".parse().unwrap()),
            boot: Boot::SystemdBoot,
            initrd: None,
        }),
        live: None,
        cpio: Default::default(),
        wsl: Default::default(),
        memory_mib: 256,
        os: Os {
            hostname: is_disk.then(|| "test".into()),
            kernel_command_line: if is_disk {
                vec!["console=ttyS0".into()]
            } else {
                vec![]
            },
            ..Os::default()
        },
        scripts: vec![],
        tests: vec![Test {
            name: "x".into(),
            run: "true".into(),
        }],
        defined_at: Location::file("test.toml"),
    }
}

/// Where a package comes from: one that was built here of a tarball and a patch.
fn origin(name: &str, file: &Path) -> Origin {
    let source = |name: String, in_tree, url: Option<&str>, purl: Option<&str>| Source {
        sha256: Sha256::of(name.as_bytes()),
        name,
        in_tree,
        url: url.map(str::to_owned),
        purl: purl.map(str::to_owned),
        changed: None,
    };
    let tarball = "https://example.org/x-1.tar.gz";
    let sources = vec![
        source(format!("{name}-1.tar.gz"), false, Some(tarball), None),
        source(format!("{name}.patch"), true, None, None),
        source("x-1.crate".to_owned(), false, None, Some("pkg:cargo/x@1")),
    ];
    Origin {
        sha256: Sha256::of_file(file).unwrap().0,
        component: name.parse().unwrap(),
        repository: None,
        material: Some(Arc::new(Material {
            spec: Sha256::of(b"spec"),
            sources,
        })),
    }
}

/// The key of this run.
pub fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("A test <test@example.org>", Epoch(CLOCK)).unwrap())
}

/// A store and a folder for images.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub tools: Machine,
    /// Where the tree is in its history.
    pub tree: Option<Revision>,
    /// What its packages must be.
    pub locked: Option<Locked>,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self {
            dir,
            store,
            tools: Machine::default(),
            tree: None,
            locked: None,
        }
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("images")
    }

    pub fn build(&self, image: &Image, packages: &Packages) -> Result<Built, Error> {
        let out = self.out();
        let request = Request {
            is_elsewhere: false,
            image,
            distro: "keel",
            version: "0.1",
            arch: Arch::X86_64,
            packages: &packages.all,
            key: Some(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
            tools_digest: Sha256::of(b"tools"),
            out: &out,
            signer: Signer {
                key: key(),
                builder: provenance::LOCAL,
                tree: self.tree.as_ref(),
            },
            locked: self.locked.as_ref(),
        };
        keel_image::make(&request, &self.tools, &self.store, &Silent, &Interrupt::default())
    }
}

/// The tools of this machine.
#[derive(Default)]
pub struct Machine {
    pub foreign: Foreign,
    /// A file that the file system's writer gets wrong.
    pub damaged: Option<&'static str>,
}

impl Tools for Machine {
    fn mkfs_erofs(&self, archive: &Path, image: &Path, options: &Erofs<'_>) -> Result<(), Failure> {
        // Debian 12's mkfs.erofs reads no tar archive: owners are lost unless root unpacks.
        let dir = archive.with_extension("d");
        fs::create_dir(&dir)?;
        let (archive, folder) = (archive.to_string_lossy(), dir.to_string_lossy());
        judge(
            "tar",
            &[
                "tar",
                "-xpf",
                &archive,
                "-C",
                &folder,
                "--xattrs",
                "--xattrs-include=*",
            ],
        );
        let (clock, uuid) = (options.clock.0.to_string(), options.uuid.to_string());
        let image = image.to_string_lossy();
        let made = ["mkfs.erofs", "-zlz4", "-T", &clock, "-U", &uuid, &image, &folder];
        judge("erofs-utils", &made);
        Ok(fs::remove_dir_all(dir)?)
    }

    fn mksquashfs(&self, archive: &Path, image: &Path, options: &Squashfs) -> Result<(), Failure> {
        // Debian 12's mksquashfs does not give the root of an archive the time that it is told, but none is later than this.
        let output = Command::new("mksquashfs")
            .args([
                "-",
                &image.to_string_lossy(),
                "-tar",
                "-quiet",
                "-no-progress",
                "-noappend",
            ])
            .args(["-comp", "zstd", "-root-mode", "755"])
            .env("SOURCE_DATE_EPOCH", options.clock.0.to_string())
            .stdin(fs::File::open(archive)?)
            .output()
            .unwrap_or_else(|error| panic!("`mksquashfs`: {error}; apt-get install squashfs-tools"));
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn xorriso(&self, folder: &Path, image: &Path, options: &Iso<'_>) -> Result<(), Failure> {
        let guid = options.guid.to_string();
        let request = xorriso::Request {
            folder,
            image,
            volume: options.volume,
            guid: &guid,
            clock: options.clock,
            esp: options.esp,
            mbr: options.mbr,
        };
        let mut made = vec!["xorriso".to_owned()];
        made.extend(xorriso::arguments(&request));
        let made: Vec<&str> = made.iter().map(String::as_str).collect();
        judge("xorriso", &made);
        Ok(())
    }

    fn mkfs_ext4(&self, archive: &Path, image: &Path, options: &Ext4<'_>) -> Result<(), Failure> {
        // Debian 12's mke2fs reads no tar archive: what ordinary users cannot unpack, debugfs writes.
        let folder = archive.with_extension("d");
        fs::create_dir(&folder)?;
        let values = archive.with_extension("values");
        fs::create_dir(&values)?;
        let mut script = String::new();
        let quoted = |path: &str| format!("\"{}\"", path.replace('"', "\"\""));
        let mut number = 0;
        let mut attribute = |path: &str, name: &str, value: &[u8]| {
            number += 1;
            let file = values.join(number.to_string());
            fs::write(&file, value).unwrap();
            format!("ea_set -f {} {} {name}\n", file.display(), quoted(path))
        };
        let mut entries = tar::Archive::new(fs::File::open(archive)?);
        for entry in entries.entries()? {
            let mut entry = entry?;
            let path = String::from_utf8(entry.path_bytes().into_owned())?;
            let path = format!("/{}", path.trim_start_matches("./").trim_end_matches('/'));
            let to = folder.join(&path[1..]);
            let header = entry.header().clone();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => {
                    fs::create_dir_all(&to)?;
                    0o040_000
                }
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap().into_owned();
                    std::os::unix::fs::symlink(String::from_utf8(target)?, &to)?;
                    0o120_000
                }
                _ => {
                    std::io::copy(&mut entry, &mut fs::File::create(&to)?)?;
                    0o100_000
                }
            };
            let time = header.mtime()?;
            for (field, value) in [
                ("uid", header.uid()?.to_string()),
                ("gid", header.gid()?.to_string()),
                ("mode", format!("0{:o}", kind | header.mode()?)),
                ("atime", format!("@{time}")),
                ("ctime", format!("@{time}")),
                ("mtime", format!("@{time}")),
            ] {
                script.push_str(&format!("sif {} {field} {value}\n", quoted(&path)));
            }
            for record in entry.pax_extensions()?.into_iter().flatten() {
                let record = record?;
                if record.key()? == "SCHILY.xattr.security.capability" {
                    script.push_str(&attribute(&path, "security.capability", record.value_bytes()));
                }
            }
        }
        for other in options.attributes {
            script.push_str(&attribute(other.path, other.name, other.value));
        }
        if let Some(path) = &self.damaged {
            fs::write(folder.join(path), "zero")?;
        }
        let (clock, uuid) = (
            format!("E2FSPROGS_FAKE_TIME={}", options.clock.0),
            options.uuid.to_string(),
        );
        let extended = format!(
            "hash_seed={},lazy_itable_init=0,root_owner=0:0",
            options.hash_seed
        );
        let (inodes, journal) = (
            options.layout.inodes.to_string(),
            format!("size={}", options.layout.journal_mib),
        );
        let blocks = (options.layout.size / 4096).to_string();
        let (folder_name, image) = (folder.to_string_lossy(), image.to_string_lossy());
        judge(
            "e2fsprogs",
            &[
                "env",
                &clock,
                "mke2fs",
                "-q",
                "-F",
                "-t",
                "ext4",
                "-b",
                "4096",
                "-I",
                "256",
                "-O",
                "64bit,metadata_csum",
                "-N",
                &inodes,
                "-J",
                &journal,
                "-U",
                &uuid,
                "-L",
                options.label,
                "-E",
                &extended,
                "-d",
                &folder_name,
                &image,
                &blocks,
            ],
        );
        let commands = archive.with_extension("debugfs");
        fs::write(&commands, script)?;
        let commands = commands.to_string_lossy();
        let said = judge(
            "e2fsprogs",
            &["env", &clock, "debugfs", "-w", "-f", &commands, &image],
        );
        let wrong = said.lines().find(|line| !line.starts_with("debugfs"));
        assert!(wrong.is_none(), "{wrong:?}");
        fs::remove_dir_all(values)?;
        Ok(fs::remove_dir_all(folder)?)
    }

    fn extract_erofs(&self, image: &Path, folder: &Path) -> Result<(), Failure> {
        fs::create_dir(folder)?;
        let extract = format!("--extract={}/tree", folder.display());
        judge("erofs-utils", &["fsck.erofs", &extract, &image.to_string_lossy()]);
        if let Some(path) = &self.damaged {
            fs::write(folder.join("tree").join(path), "zeros")?;
        }
        Ok(())
    }

    fn rpmdb(&self, packages: &[PathBuf], clock: Epoch) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().to_string_lossy().into_owned();
        let files: Vec<String> = packages
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let mut argv = vec![
            "env".to_owned(),
            format!("SOURCE_DATE_EPOCH={}", clock.0),
            "rpm".to_owned(),
        ];
        argv.extend(
            [
                "--dbpath",
                &path,
                "-i",
                "--justdb",
                "--nodeps",
                "--nosignature",
                "--noscripts",
            ]
            .map(str::to_owned),
        );
        argv.extend(files);
        judge("rpm", &argv.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(BTreeMap::from([(
            "rpmdb.sqlite".to_owned(),
            fs::read(dir.path().join("rpmdb.sqlite"))?,
        )]))
    }

    fn foreign(&self) -> Result<Foreign, Failure> {
        Ok(self.foreign.clone())
    }
}

/// Digests of all files under a folder, by name.
pub fn digests(dir: &Path) -> BTreeMap<String, Sha256> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
                found.insert(name, Sha256::of_file(&path).unwrap().0);
            }
        }
    }
    found
}

/// An error and its causes, one a line.
pub fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!("\n{inner}"));
        cause = inner.source();
    }
    text
}

/// `text` as a path in a root.
pub fn path(text: &str) -> RootPath {
    text.parse().unwrap()
}
