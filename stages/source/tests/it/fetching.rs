//! Fetching pinned files: every way in which it goes well, and every way in which it does not.

use std::{
    io,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use keel_artefact::Sha256;
use keel_source::{Error, Kind};

use crate::{
    fixture::{Fixture, Recorder, debian, debian_unsized},
    server::{Answer, Request, Server},
};

const NAME: &str = "hello_1.0.orig.tar.gz";
const PATH: &str = "/pool/main/h/hello/hello_1.0.orig.tar.gz";

fn body() -> Vec<u8> {
    (0..50_000_u32)
        .flat_map(|n| n.to_le_bytes())
        .take(50_000)
        .collect()
}

#[test]
fn the_first_origin_with_the_right_bytes_wins() {
    let absent = Server::new(|_, answer| answer.status(404, ""));
    let wrong = Server::new(|request, answer| answer.file(request, &vec![b'x'; 50_000]));
    let right = Server::new(|request, answer| answer.file(request, &body()));
    let never = Server::new(|_, answer| answer.status(500, ""));
    let bases = [&absent, &wrong, &right, &never].map(|server| server.url("/"));
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&bases);
    let sink = Recorder::default();
    let sets = fixture.fetch_version("1.0", &[NAME], &sink).unwrap();
    let file = &sets[0].files[0];
    assert_eq!(
        (file.name.as_str(), file.size, file.kind, file.locked),
        (NAME, 50_000, Kind::Fetched, true)
    );
    assert_eq!(
        file.origin.as_deref(),
        Some("debian:trixie:pool/main/h/hello/hello_1.0.orig.tar.gz")
    );
    assert_eq!(fixture.store.read(&Sha256::of(&body())).unwrap(), body());
    assert_eq!(absent.requests().len(), 1, "a 404 is not asked again");
    assert_eq!(wrong.requests().len(), 1, "wrong bytes are not asked for again");
    assert_eq!(never.requests().len(), 0);
    assert_eq!(right.requests()[0].path, PATH);
    assert!(fixture.partials().is_empty());
    fixture.assert_tidy();
    let events = sink.0.lock().unwrap().join("\n");
    for part in [
        "Stage",
        "Started",
        "total: Some(50000)",
        "Progress",
        "Message",
        "other bytes",
        "outcome: Done",
    ] {
        assert!(events.contains(part), "no {part} in {events}");
    }
    // Once more: all is there, nobody is asked, and who gave it is remembered.
    let again = fixture.fetch(&[NAME]).unwrap();
    assert_eq!(again, sets);
    assert_eq!(right.requests().len(), 1);
}

/// What a server does, what the user is told, whether it is asked again, and whether a partial file stays.
type Case = (
    &'static str,
    fn(&Request, &mut Answer<'_>) -> io::Result<()>,
    &'static str,
    bool,
    bool,
);

const CASES: [Case; 20] = [
    (
        "404",
        |_, a| a.status(404, ""),
        "it is not there (404)",
        false,
        false,
    ),
    (
        "410",
        |_, a| a.status(410, ""),
        "it is not there (410)",
        false,
        false,
    ),
    (
        "403",
        |_, a| a.status(403, ""),
        "the server answered 403",
        false,
        false,
    ),
    (
        "500",
        |_, a| a.status(500, ""),
        "the server answered 500",
        true,
        false,
    ),
    (
        "429",
        |_, a| a.status(429, ""),
        "the server answered 429",
        true,
        false,
    ),
    (
        "wrong bytes",
        |_, a| a.ok(&[b'x'; 50_000]),
        "it gave other bytes: SHA-256 ",
        false,
        false,
    ),
    (
        "shorter, said so",
        |_, a| a.ok(b"short"),
        "it offers 5 bytes, the pinned file has 50000",
        false,
        false,
    ),
    (
        "longer, said so",
        |_, a| a.ok(&[0; 50_001]),
        "it offers 50001 bytes",
        false,
        false,
    ),
    ("empty", |_, a| a.ok(b""), "it offers 0 bytes", false, false),
    (
        "truncated",
        |_, a| {
            a.raw("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")?;
            a.raw(&body()[..7])
        },
        "it broke off after 7 bytes of 50000",
        true,
        true,
    ),
    (
        "truncated, length not said",
        |_, a| {
            a.raw("HTTP/1.0 200 OK\r\n\r\n")?;
            a.raw(&body()[..7])
        },
        "it broke off after 7 bytes of 50000",
        true,
        true,
    ),
    (
        "too long, length not said",
        |_, a| {
            a.raw("HTTP/1.0 200 OK\r\n\r\n")?;
            a.raw(body())?;
            a.raw("x")
        },
        "it sends more than the 50000 bytes",
        false,
        false,
    ),
    (
        "endless",
        |_, a| {
            a.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                a.raw("5\r\nendle\r\n")?;
            }
        },
        "it sends more than the 50000 bytes",
        false,
        false,
    ),
    (
        "stalled before the header",
        |_, a| a.stall(Duration::from_secs(20)),
        "not a byte for 0.4 seconds",
        true,
        false,
    ),
    (
        "stalled in the body",
        |_, a| {
            a.raw("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n1234")?;
            a.stall(Duration::from_secs(20))
        },
        "not a byte for 0.4 seconds",
        true,
        true,
    ),
    (
        "a drop at a time",
        |_, a| {
            a.raw("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")?;
            for _ in 0..1000 {
                a.raw("x")?;
                a.stall(Duration::from_millis(100))?;
            }
            Ok(())
        },
        "it took longer than 3 seconds in all",
        false,
        true,
    ),
    (
        "to itself for ever",
        |r, a| a.status(302, &format!("Location: {}\r\n", r.path)),
        "too many redirects",
        false,
        false,
    ),
    (
        "to a file",
        |_, a| a.status(302, "Location: file:///etc/passwd\r\n"),
        "it redirects to `file:///etc/passwd`: another scheme",
        false,
        false,
    ),
    (
        "no HTTP",
        |_, a| a.raw("220 ftp.example FTP server ready\r\n"),
        "its answer makes no sense",
        false,
        false,
    ),
    (
        "a header without end",
        |_, a| {
            a.raw("HTTP/1.1 200 OK\r\n")?;
            loop {
                a.raw("X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
            }
        },
        "its answer makes no sense: ",
        false,
        false,
    ),
];

#[test]
fn what_goes_wrong_is_told_and_nothing_is_kept() {
    std::thread::scope(|scope| {
        for (what, handler, message, is_asked_again, stays) in CASES {
            scope.spawn(move || {
                let server = Server::new(handler);
                let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
                let started = Instant::now();
                let errors = fixture.fetch(&[NAME]).unwrap_err();
                let text = errors.to_string();
                assert!(text.contains(message), "{what}: {text}");
                assert!(
                    text.contains("no origin gives `hello_1.0.orig.tar.gz`, a source of `hello`"),
                    "{what}: {text}"
                );
                assert!(text.contains(&server.url(PATH)), "{what}: {text}");
                assert!(
                    started.elapsed() < Duration::from_secs(8),
                    "{what}: {:?}",
                    started.elapsed()
                );
                let asked = server.requests().len();
                let redirected = what.starts_with("to itself");
                assert!(
                    (asked > 1) == (is_asked_again || redirected),
                    "{what}: asked {asked} times"
                );
                assert!(!fixture.store.contains(&Sha256::of(&body())), "{what}");
                assert_eq!(
                    !fixture.partials().is_empty(),
                    stays,
                    "{what}: {:?}",
                    fixture.partials()
                );
                fixture.assert_tidy();
            });
        }
    });
}

#[test]
fn an_unknown_host_and_a_closed_port_are_told() {
    let closed = {
        let server = Server::new(|_, _| Ok(()));
        server.url("")
    };
    for base in [closed, "http://no-such-host.invalid".to_owned()] {
        let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[base]);
        let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
        assert!(text.contains("it cannot be reached: "), "{text}");
    }
}

#[test]
fn a_file_of_unknown_size_is_bounded_too() {
    let server = Server::new(|_, answer| {
        answer.raw("HTTP/1.0 200 OK\r\n\r\n")?;
        loop {
            answer.raw([b'x'; 1000])?;
        }
    });
    let fixture = Fixture::new(&debian_unsized(NAME, &body())).with_mirrors(&[server.url("")]);
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(text.contains("it sends more than the 100000 bytes"), "{text}");
    let server = Server::new(|_, answer| answer.ok(&[0; 100_001]));
    let fixture = fixture.with_mirrors(&[server.url("")]);
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(text.contains("it sends more than the 100000 bytes"), "{text}");
    let server = Server::new(|request, answer| answer.file(request, &body()));
    assert_eq!(
        fixture.with_mirrors(&[server.url("")]).fetch(&[NAME]).unwrap()[0].files[0].size,
        50_000
    );
}

#[test]
fn a_server_that_recovers_is_asked_until_it_does() {
    let tries = AtomicUsize::new(0);
    let server = Server::new(
        move |request, answer| match tries.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => answer.status(503, ""),
            _ => answer.file(request, &body()),
        },
    );
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_transfer_goes_on_where_it_broke() {
    // 9,000 bytes at a time; more cuts than tries, as each brings something.
    let server = Server::new(|request, answer| {
        let from = request.from().unwrap_or(0);
        let body = body();
        let end = (from + 9000).min(body.len());
        let head = match from {
            0 => "HTTP/1.1 200 OK".to_owned(),
            _ => format!("HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-49999/50000"),
        };
        answer.raw(format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len() - from))?;
        answer.raw(&body[from..end])
    });
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    fixture.fetch(&[NAME]).unwrap();
    let starts: Vec<_> = server.requests().iter().map(Request::from).collect();
    assert_eq!(
        starts,
        [
            None,
            Some(9000),
            Some(18_000),
            Some(27_000),
            Some(36_000),
            Some(45_000)
        ]
    );
    assert!(fixture.partials().is_empty());
}

#[test]
fn what_a_killed_run_left_is_used_if_it_is_good() {
    let digest = Sha256::of(&body());
    let poisoned = vec![b'x'; 20_000];
    let too_long = vec![b'x'; 60_000];
    /// What was left, whether the server knows ranges, where each request starts.
    type Left<'a> = (&'a [u8], bool, &'a [Option<usize>]);
    let cases: [Left<'_>; 6] = [
        (&body()[..20_000], true, &[Some(20_000)]),
        (&body(), true, &[]),
        (&poisoned, true, &[Some(20_000), None]),
        (&too_long, true, &[None]),
        // A server that does not know ranges sends all of it.
        (&body()[..20_000], false, &[Some(20_000)]),
        (&poisoned, false, &[Some(20_000)]),
    ];
    for (left, knows_ranges, expected) in cases {
        let server = Server::new(move |request, answer| match knows_ranges {
            true => answer.file(request, &body()),
            false => answer.ok(&body()),
        });
        let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
        let partial = fixture.store.dir().join("tmp/partial");
        fs_err::create_dir_all(&partial).unwrap();
        fs_err::write(partial.join(digest.to_hex()), left).unwrap();
        fixture.fetch(&[NAME]).unwrap();
        let starts: Vec<_> = server.requests().iter().map(Request::from).collect();
        assert_eq!(starts, expected, "{} bytes left", left.len());
        assert_eq!(fixture.store.read(&digest).unwrap(), body());
        assert!(fixture.partials().is_empty());
    }
}

#[test]
fn a_lying_range_is_refused() {
    let server = Server::new(|request, answer| match request.from() {
        Some(_) => {
            answer.raw(
                "HTTP/1.1 206 X\r\nContent-Range: bytes 0-49999/50000\r\nContent-Length: 50000\r\n\r\n",
            )?;
            answer.raw(body())
        }
        None => answer.ok(&body()),
    });
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    let partial = fixture.store.dir().join("tmp/partial");
    fs_err::create_dir_all(&partial).unwrap();
    fs_err::write(partial.join(Sha256::of(&body()).to_hex()), &body()[..10]).unwrap();
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn content_is_never_decoded() {
    // The old trick: a `.tar.gz` is served as an encoded `.tar`. The bytes on the wire are the file.
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0,
    ];
    for encoding in ["gzip", "x-gzip", "br", "deflate, gzip"] {
        let server = Server::new(move |request, answer| {
            assert_eq!(request.header("accept-encoding"), Some("identity"));
            answer.raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 21\r\n\r\n"
            ))?;
            answer.raw(gzip)
        });
        let fixture = Fixture::new(&debian(NAME, &gzip)).with_mirrors(&[server.url("")]);
        fixture.fetch(&[NAME]).unwrap();
        assert_eq!(fixture.store.read(&Sha256::of(&gzip)).unwrap(), gzip);
    }
}

#[test]
fn a_redirect_within_the_scheme_is_followed() {
    let target = Server::new(|request, answer| answer.file(request, &body()));
    let url = target.url("/elsewhere?x=1");
    let server = Server::new(move |request, answer| match request.path.as_str() {
        PATH => answer.status(301, "Location: next#part\r\n"),
        _ => answer.status(307, &format!("Location: {url}\r\n")),
    });
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    fixture.fetch(&[NAME]).unwrap();
    let paths: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, [PATH, "/pool/main/h/hello/next"]);
    assert_eq!(target.requests()[0].path, "/elsewhere?x=1");
}

#[test]
fn an_interrupt_ends_it_at_once_and_keeps_what_came() {
    let server = Server::new(|_, answer| {
        answer.raw("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")?;
        answer.raw(&body()[..1000])?;
        answer.stall(Duration::from_secs(20))
    });
    let mut fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    fixture.options.limits.stall = Duration::from_secs(20);
    fixture.options.limits.total = Duration::from_secs(20);
    let started = Instant::now();
    let interrupt = fixture.interrupt.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        interrupt.set();
    });
    let errors = fixture.fetch(&[NAME]).unwrap_err();
    stopper.join().unwrap();
    assert!(errors.is_interrupted(), "{errors}");
    assert_eq!(errors.iter().count(), 1);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(fixture.partials(), [Sha256::of(&body()).to_hex()]);
    // The next run goes on from there.
    let server = Server::new(|request, answer| answer.file(request, &body()));
    let mut fixture = fixture.with_mirrors(&[server.url("")]);
    fixture.interrupt = keel_artefact::Interrupt::default();
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests()[0].from(), Some(1000));
}

#[test]
fn files_come_in_parallel_and_each_once() {
    let names: Vec<_> = (0..8).map(|n| format!("hello_1.{n}.orig.tar.gz")).collect();
    let server = Server::new(|request, answer| {
        std::thread::sleep(Duration::from_millis(300));
        answer.ok(request.path.as_bytes())
    });
    let files: String = names
        .iter()
        .map(|name| debian(name, format!("/pool/main/h/hello/{name}").as_bytes()))
        .collect();
    let fixture = Fixture::new(&files).with_mirrors(&[server.url("")]);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let started = Instant::now();
    let sets = std::thread::scope(|scope| {
        // Two runs at once over one store.
        let runs = [
            scope.spawn(|| fixture.fetch(&names)),
            scope.spawn(|| fixture.fetch(&names)),
        ];
        runs.map(|run| run.join().unwrap().unwrap())
    });
    assert!(
        started.elapsed() < Duration::from_millis(8 * 300),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sets[0], sets[1]);
    assert_eq!(sets[0][0].files.len(), 8);
    assert_eq!(
        server.requests().len(),
        8,
        "each file once, though two runs wanted it"
    );
    assert!(fixture.partials().is_empty());
}

#[test]
fn all_that_is_wrong_is_told_together() {
    let server = Server::new(|_, answer| answer.status(404, ""));
    let files = debian("hello_1.0.orig.tar.gz", b"a") + &debian("hello_2.0.orig.tar.gz", b"b");
    let fixture = Fixture::new(&files).with_mirrors(&[server.url("")]);
    let errors = fixture
        .fetch(&["hello_1.0.orig.tar.gz", "hello_2.0.orig.tar.gz"])
        .unwrap_err();
    assert_eq!(errors.iter().count(), 2);
    assert!(errors.iter().all(Error::is_gone));
    let text = errors.to_string().replace(&server.url(""), "MIRROR");
    let expected = "error: no origin gives `hello_1.0.orig.tar.gz`, a source of `hello`\n  \
        keel.toml:13:12\n  \
        caused by: debian:trixie:pool/main/h/hello/hello_1.0.orig.tar.gz \
        (MIRROR/pool/main/h/hello/hello_1.0.orig.tar.gz): it is not there (404)\n\
        hint: Debian's pool drops superseded versions; `--refresh` takes the newest of the same upstream series";
    assert_eq!(text.split("\n\n").next().unwrap(), expected);
    let errors = fixture
        .fetch(&["hello_1.0.orig.tar.gz", "a.patch", "b.patch"])
        .unwrap_err();
    assert_eq!(
        errors.iter().count(),
        2,
        "what the SPEC lacks is told before anything is fetched"
    );
}

#[test]
fn without_mirror_or_network_the_user_is_told_what_to_do() {
    let mut fixture = Fixture::new(&debian(NAME, &body()));
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("no mirror is known for the suite `trixie`"),
        "{text}"
    );
    assert!(text.contains("hint: say where Debian's archive is"), "{text}");
    let server = Server::new(|request, answer| answer.file(request, &body()));
    fixture = fixture.with_mirrors(&[server.url("")]);
    fixture.options.offline = true;
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("not asked: --offline") && text.contains("hint: run it again without"),
        "{text}"
    );
    assert!(server.requests().is_empty());
    fixture.store.put_bytes(&body()).unwrap();
    fixture.fetch(&[NAME]).unwrap();
}

#[test]
fn files_of_this_machine_are_origins_too() {
    let entry = |path: &str, size: usize| {
        format!(
            "[[components.hello.source-files]]\nfilename = \"{NAME}\"\nhash = \"{}\"\nhash-type = \"SHA256\"\n\
             size = {size}\norigin = {{ type = \"file\", path = \"{path}\" }}\n",
            Sha256::of(&body())
        )
    };
    let fixture = Fixture::new(&entry("files/a", 50_000));
    for (make, message) in [
        (
            (|_| Ok(())) as fn(&std::path::Path) -> io::Result<()>,
            "there is no such file",
        ),
        (|dir| fs_err::create_dir_all(dir.join("a")), "cannot be read"),
        (
            |dir| fs_err::remove_dir(dir.join("a")).and_then(|()| fs_err::write(dir.join("a"), "x")),
            "it offers 1 bytes",
        ),
        (
            |dir| fs_err::write(dir.join("a"), vec![0; 50_000]),
            "it gave other bytes",
        ),
    ] {
        fs_err::create_dir_all(fixture.root().join("files")).unwrap();
        make(&fixture.root().join("files")).unwrap();
        let errors = fixture.fetch(&[NAME]).unwrap_err();
        let text = errors.to_string();
        assert!(text.contains(message) && text.contains("file:files/a"), "{text}");
    }
    fs_err::write(fixture.root().join("files/a"), body()).unwrap();
    let sets = fixture.fetch(&[NAME]).unwrap();
    assert_eq!(sets[0].files[0].origin.as_deref(), Some("file:files/a"));
    fixture.assert_tidy();
}

#[test]
fn a_mirror_may_be_a_folder() {
    let fixture = Fixture::new(&debian(NAME, &body()));
    let mirror = fixture.dir.path().join("mirror");
    fs_err::create_dir_all(mirror.join("pool/main/h/hello")).unwrap();
    fs_err::write(mirror.join("pool/main/h/hello").join(NAME), body()).unwrap();
    let fixture = fixture.with_mirrors(&[format!("file://{}", mirror.display())]);
    fixture.fetch(&[NAME]).unwrap();
}

#[test]
fn files_beside_the_spec() {
    let fixture = Fixture::new("");
    fs_err::write(fixture.spec_dir().join("fix.patch"), "a patch").unwrap();
    let sets = fixture.fetch(&["fix.patch", "fix.patch"]).unwrap();
    assert_eq!(sets[0].files.len(), 1);
    let file = &sets[0].files[0];
    assert_eq!(
        (file.kind, file.size, file.digest),
        (Kind::Local, 7, Sha256::of(b"a patch"))
    );
    assert_eq!(fixture.store.read(&file.digest).unwrap(), b"a patch");
    // Links inside the project are followed; links out of it are not.
    symlink("fix.patch", fixture.spec_dir().join("inside.patch")).unwrap();
    fixture.fetch(&["inside.patch"]).unwrap();
    fs_err::write(fixture.dir.path().join("secret"), "x").unwrap();
    symlink("../../../secret", fixture.spec_dir().join("outside.patch")).unwrap();
    fs_err::create_dir(fixture.spec_dir().join("folder")).unwrap();
    symlink("nowhere", fixture.spec_dir().join("dangling")).unwrap();
    for (name, message) in [
        ("outside.patch", "it is a link that leads out of the project"),
        ("folder", "it is no regular file"),
        ("dangling", "caused by: "),
        ("../hello/fix.patch", "is no plain file name"),
        ("..", "is no plain file name"),
        ("", "is no plain file name"),
        ("a\nb", "is no plain file name"),
    ] {
        let text = fixture.fetch(&[name]).unwrap_err().to_string();
        assert!(text.contains(message), "{name:?}: {text}");
    }
}

#[test]
fn a_source_that_nothing_pins_is_told_with_the_line_of_the_spec() {
    let fixture = Fixture::new(&debian("hello_1.1.orig.tar.gz", b"x"));
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    let expected = "error: `hello` has no source `hello_1.0.orig.tar.gz`\n  specs/hello/hello.spec:2:\n    \
        2 | Source0: hello_1.0.orig.tar.gz\nhint: did you mean `hello_1.1.orig.tar.gz`?";
    assert_eq!(text, expected);
    let fixture = Fixture::new("");
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains(
            "or say where it may be had in `[[components.hello.source-files]]` and run `keel source lock"
        ),
        "{text}"
    );
}

#[test]
fn configuration_lock_and_folder_must_agree() {
    let fixture = Fixture::new(&debian(NAME, &body()));
    fs_err::write(fixture.spec_dir().join(NAME), "other").unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("twice: beside its SPEC") && text.contains("hello.spec:2"),
        "{text}"
    );
    fs_err::write(fixture.spec_dir().join(NAME), body()).unwrap();
    assert_eq!(fixture.fetch(&[NAME]).unwrap()[0].files[0].kind, Kind::Local);
    fs_err::remove_file(fixture.spec_dir().join(NAME)).unwrap();
    let lock = |digest: Sha256, size: u64| {
        let text = format!(
            "version = 1\n[[file]]\ncomponent = \"hello\"\nname = \"{NAME}\"\nsize = {size}\nsha256 = \"{digest}\"\n\
             origins = []\nlocked = true\n"
        );
        fs_err::write(fixture.root().join("keel.lock"), text).unwrap();
        fixture.fetch(&[NAME]).unwrap_err().to_string()
    };
    let text = lock(Sha256::of(b"x"), 50_000);
    assert!(
        text.contains("the SHA-256 of `hello_1.0.orig.tar.gz` differs") && text.contains("keel.toml:13"),
        "{text}"
    );
    let text = lock(Sha256::of(&body()), 7);
    assert!(
        text.contains("the size of `hello_1.0.orig.tar.gz` differs"),
        "{text}"
    );
    fs_err::write(fixture.root().join("keel.lock"), "version = 1\n[[file]]\n").unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("the lock ") && text.contains("is damaged") && text.contains("missing field"),
        "{text}"
    );
}

#[test]
fn a_wrong_size_is_not_hidden_by_a_full_store() {
    let server = Server::new(|request, answer| answer.file(request, &body()));
    let entry = debian(NAME, &body()).replace("size = 50000", "size = 49999");
    let fixture = Fixture::new(&entry).with_mirrors(&[server.url("")]);
    fixture.store.put_bytes(&body()).unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(text.contains("the pinned file has 49999"), "{text}");
    assert!(fixture.store.contains(&Sha256::of(&body())));
}

#[test]
fn damaged_objects_are_found_and_fetched_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Arc::new(Server::new(|request, answer| answer.file(request, &body())));
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    let states = || {
        let verified = keel_source::verify(&fixture.project(), &fixture.store, &fixture.interrupt).unwrap();
        verified
            .iter()
            .map(|one| format!("{:?}", one.state))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), ["Absent"]);
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(states(), ["Good"]);
    let object = fixture.store.object(&Sha256::of(&body())).unwrap();
    fs_err::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&object, "short").unwrap();
    // A wrong size is seen at once; wrong bytes of the right size when they are read, or by `verify`.
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests().len(), 2);
    fs_err::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&object, vec![1; 50_000]).unwrap();
    assert_eq!(states(), ["Damaged"]);
    assert_eq!(states(), ["Absent"]);
}
