//! The server, spoken to byte by byte.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, event::Silent};

/// Serves `dir` while `work` runs.
pub(crate) fn serving<R>(dir: &Path, work: impl FnOnce(SocketAddr) -> R) -> R {
    let interrupt = Interrupt::default();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            keel_repo::serve(
                dir,
                "127.0.0.1:0".parse().unwrap(),
                &interrupt,
                &Silent,
                &mut |address| {
                    sender.send(address).unwrap();
                },
            )
        });
        let address = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(address)));
        interrupt.set();
        server.join().unwrap().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Sends one request, closes its side, and returns all that comes back.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may have refused before it has heard all.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

fn folder() -> tempfile::TempDir {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("served");
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    std::fs::write(outer.path().join("secret"), "secret").unwrap();
    std::fs::write(dir.join("sub/file.xml"), "0123456789").unwrap();
    std::fs::write(dir.join("sub/a+b c.rpm"), "plus").unwrap();
    std::fs::write(dir.join(".hidden"), "secret").unwrap();
    std::os::unix::fs::symlink(outer.path().join("secret"), dir.join("link")).unwrap();
    std::os::unix::fs::symlink(outer.path(), dir.join("linkdir")).unwrap();
    std::process::Command::new("mkfifo")
        .arg(dir.join("pipe"))
        .status()
        .unwrap();
    outer
}

#[test]
fn files_and_ranges_come() {
    let outer = folder();
    serving(&outer.path().join("served"), |address| {
        let answer = get(address, "/sub/file.xml");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n0123456789"),
            "{answer}"
        );
        assert!(answer.contains("Content-Length: 10\r\n") && answer.contains("Content-Type: text/xml\r\n"));
        assert!(get(address, "/sub/a+b%20c.rpm").ends_with("plus"));
        let tag = answer
            .split("ETag: ")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        let with = |header: &str| {
            ask(
                address,
                &format!("GET /sub/file.xml HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n"),
            )
        };
        let answer = with("Range: bytes=2-4");
        assert!(
            answer.starts_with("HTTP/1.1 206") && answer.ends_with("\r\n\r\n234"),
            "{answer}"
        );
        assert!(answer.contains("Content-Range: bytes 2-4/10\r\n"));
        assert!(with("Range: bytes=20-").starts_with("HTTP/1.1 416"));
        assert!(with("Range: bytes=2-4\r\nIf-Range: \"other\"").ends_with("0123456789"));
        assert!(with(&format!("Range: bytes=2-4\r\nIf-Range: {tag}")).ends_with("\r\n\r\n234"));
        assert!(with(&format!("If-None-Match: {tag}")).starts_with("HTTP/1.1 304"));
        let answer = ask(
            address,
            "HEAD /sub/file.xml HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        assert!(
            answer.contains("Content-Length: 10\r\n") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
        // Two requests in one piece, on one connection.
        let one = "GET /sub/file.xml HTTP/1.1\r\n\r\n";
        assert_eq!(ask(address, &one.repeat(2)).matches("0123456789").count(), 2);
    });
}

#[test]
fn nothing_else_comes() {
    let outer = folder();
    serving(&outer.path().join("served"), |address| {
        for path in [
            "/",
            "/sub",
            "/sub/",
            "//sub/file.xml",
            "/missing",
            "/../secret",
            "/sub/../../secret",
            "/%2e%2e/secret",
            "/sub/%2e%2e/%2e%2e/secret",
            "/..%2fsecret",
            "/%2fetc%2fpasswd",
            "//etc/passwd",
            "/.hidden",
            "/link",
            "/linkdir/secret",
            "/pipe",
            "/sub/file.xml/",
            "/sub/file.xml%00",
            "/sub\\file.xml",
            "/./sub/file.xml",
        ] {
            let answer = get(address, path);
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
            assert!(!answer.contains("secret"), "{path}");
        }
        for (request, code) in [
            ("POST / HTTP/1.1\r\n\r\n", "405"),
            ("DELETE /sub/file.xml HTTP/1.1\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "400"),
            ("noise\r\n\r\n", "400"),
            ("GET / HTTP/2.0\r\n\r\n", "505"),
            (&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000)), "431"),
            (&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100_000)), "431"),
        ] {
            let answer = ask(address, request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code}")),
                "{request:.40}: {answer}"
            );
        }
        assert_eq!(ask(address, "GET / HT"), "", "half a request has no answer");
    });
}

#[test]
fn too_many_connections_are_told_to_come_back() {
    let outer = folder();
    serving(&outer.path().join("served"), |address| {
        let idle: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !get(address, "/sub/file.xml").starts_with("HTTP/1.1 503") {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(20));
        }
        drop(idle);
        while !get(address, "/sub/file.xml").starts_with("HTTP/1.1 200") {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn an_interrupt_ends_it_soon() {
    let outer = folder();
    let mut idle = None;
    let mut started = None;
    serving(&outer.path().join("served"), |address| {
        idle = Some(TcpStream::connect(address).unwrap());
        started = Some(Instant::now());
    });
    assert!(started.unwrap().elapsed() < Duration::from_secs(3));
}

#[test]
fn a_taken_address_is_an_error() {
    let outer = folder();
    serving(outer.path(), |address| {
        let result = keel_repo::serve(outer.path(), address, &Interrupt::default(), &Silent, &mut |_| {});
        assert!(
            matches!(result, Err(keel_repo::Error::Listen { .. })),
            "{result:?}"
        );
    });
}
