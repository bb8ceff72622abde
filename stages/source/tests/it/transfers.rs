//! A transfer that breaks, goes on, is redirected or interrupted.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use keel_artefact::Sha256;

use crate::{
    fetching::{NAME, PATH, body},
    fixture::{Fixture, Recorder, debian},
    server::{Request, Server},
};

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
fn a_byte_that_changed_in_the_store_is_found_and_fetched_again() {
    let server = Server::new(|request, answer| answer.file(request, &body()));
    let mut fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    fixture.fetch(&[NAME]).unwrap();
    fixture.options.verify = true;
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests().len(), 1);
    let object = fixture.store.object(&Sha256::of(&body())).unwrap();
    let damage = |object: &std::path::Path| {
        let mut bytes = fs_err::read(object).unwrap();
        bytes[777] ^= 1;
        fs_err::remove_file(object).unwrap();
        fs_err::write(object, bytes).unwrap();
    };
    damage(&object);
    let told = Recorder::default();
    fixture.fetch_version("1.0", &[NAME], &told).unwrap();
    let told = told.0.into_inner().unwrap();
    assert!(
        told.iter()
            .any(|event| event.contains("had changed in the store")),
        "{told:?}"
    );
    assert_eq!(fixture.store.read(&Sha256::of(&body())).unwrap(), body());
    // All origins have other bytes now: the tree's pins do not fit the world.
    damage(&object);
    let other = Server::new(|_, answer| answer.ok(&vec![b'x'; body().len()]));
    let mirrors = [other.url("/one"), other.url("/two")];
    let errors = fixture.with_mirrors(&mirrors).fetch(&[NAME]).unwrap_err();
    let text = errors.to_string();
    let (wanted, found) = (Sha256::of(&body()), Sha256::of(&vec![b'x'; body().len()]));
    for part in [
        NAME,
        &format!("pinned: SHA-256 {wanted}"),
        &format!("it gave other bytes: SHA-256 {found}"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(errors.iter().all(keel_source::Error::is_input));
}
