use std::os::unix::fs::symlink;

use super::*;

/// Zeros without an end, and how many were read of them. After ten blocks the user interrupts; hardly more than one is read then.
struct Endless(u64, Interrupt);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(self.0 <= 11 * BLOCK, "it is read on after the interrupt");
        self.0 += buffer.len() as u64;
        if self.0 >= 10 * BLOCK {
            self.1.set();
        }
        buffer.fill(0);
        Ok(buffer.len())
    }
}

fn sparse(path: &Path, gib: u64) {
    fs_err::File::create(path).unwrap().set_len(gib << 30).unwrap();
}

#[test]
fn the_time_of_a_socket_is_in_no_digest() {
    let dir = tempfile::tempdir().unwrap();
    let digest_at = |seconds: u64| {
        let tree = dir.path().join(seconds.to_string());
        fs_err::create_dir(&tree).unwrap();
        fs_err::write(tree.join("file"), "text").unwrap();
        let socket = tree.join("socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let mut touch = std::process::Command::new("touch");
        touch.arg("-d").arg(format!("@{seconds}")).arg(&socket);
        assert!(touch.status().unwrap().success());
        settle(&tree, Epoch(77), &Interrupt::default()).unwrap();
        digest(&tree, &BTreeMap::new(), &Interrupt::default()).unwrap()
    };
    assert_eq!(digest_at(1000), digest_at(2000));
}

#[test]
fn what_is_left_is_bounded_by_the_sizes_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path();
    fs_err::create_dir(tree.join("var")).unwrap();
    sparse(&tree.join("var/one"), 31);
    sparse(&tree.join("two"), 33);
    symlink("two", tree.join("link")).unwrap();
    bound(tree, &Interrupt::default()).unwrap();
    // Both are within it, and together they are not.
    fs_err::write(tree.join("three"), "one byte and more").unwrap();
    let error = bound(tree, &Interrupt::default()).unwrap_err().to_string();
    assert!(
        error.contains("the most in two with 35433480192: 64 GiB is the most"),
        "{error}"
    );
    sparse(&tree.join("var/one"), 40);
    let error = bound(tree, &Interrupt::default()).unwrap_err().to_string();
    assert!(error.contains("the most in var/one with"), "{error}");
}

#[test]
fn an_interrupt_ends_every_walk() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, fixes) = (dir.path().join("tree"), dir.path().join("fixes"));
    for folder in [&tree, &fixes] {
        fs_err::create_dir_all(folder.join("etc")).unwrap();
        fs_err::write(folder.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    }
    let (stop, layers, nobody) = (Interrupt::default(), [tree.clone()], BTreeMap::new());
    let all = || {
        [
            bound(&tree, &stop),
            Changes::of(&tree, &layers, BTreeMap::new(), Vec::new(), &stop).map(drop),
            users(&tree, &fixes, &layers, &stop).map(drop),
            settle(&tree, Epoch(0), &stop),
            digest(&tree, &nobody, &stop).map(drop),
        ]
    };
    assert!(all().iter().all(Result::is_ok));
    stop.set();
    for (number, ended) in all().iter().enumerate() {
        assert!(matches!(ended, Err(Error::Interrupted(_))), "{number}: {ended:?}");
    }
}

#[test]
fn an_interrupt_ends_a_comparison() {
    let stop = Interrupt::default();
    let ended = same(Endless(0, stop.clone()), io::repeat(0), &stop);
    assert!(matches!(ended, Err(Error::Interrupted(_))), "{ended:?}");
}

#[test]
fn an_interrupt_ends_a_digest() {
    let stop = Interrupt::default();
    let ended = digest_of(Endless(0, stop.clone()), &stop);
    assert!(matches!(ended, Err(Error::Interrupted(_))), "{ended:?}");
    let whole = digest_of(&b"text"[..], &Interrupt::default()).unwrap();
    assert_eq!(whole, Sha256::of(b"text"));
}

#[test]
fn contents_are_compared_to_their_end() {
    let block = usize::try_from(BLOCK).unwrap();
    let long = vec![7; 2 * block];
    let (mut other, stop) = (long.clone(), Interrupt::default());
    let same = |one: &[u8], other: &[u8]| same(one, other, &stop).unwrap();
    assert!(same(&long, &other));
    assert!(same(&long[..block + 1], &other[..block + 1]));
    assert!(same(b"", b""));
    other[2 * block - 1] = 8;
    assert!(!same(&long, &other));
    for shorter in [0, 1, block - 1, block, block + 1] {
        assert!(!same(&long, &long[..shorter]), "{shorter}");
        assert!(!same(&long[..shorter], &long), "{shorter}");
    }
}
