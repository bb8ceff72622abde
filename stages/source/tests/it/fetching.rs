//! Fetching pinned files: every way in which it goes well, and every way in which it does not.

use std::{
    io,
    time::{Duration, Instant},
};

use keel_artefact::Sha256;
use keel_source::{Error, Kind};

use crate::{
    fixture::{Fixture, Recorder, debian, debian_unsized},
    server::{Answer, Request, Server},
};

pub(crate) const NAME: &str = "hello_1.0.orig.tar.gz";
pub(crate) const PATH: &str = "/pool/main/h/hello/hello_1.0.orig.tar.gz";

pub(crate) fn body() -> Vec<u8> {
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
