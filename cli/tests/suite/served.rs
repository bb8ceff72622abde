//! `keel repo serve`: where it serves is what it prints, whatever else is said.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
};

use serde_json::Value;

use crate::harness::{Fixture, tool};

/// Serves the fixture's `served` on a port that the system chooses until `last` is read, asks the address that `find` makes of what
/// was printed for a file, and ends it. Gives what was said on standard error.
fn serve(options: &[&str], last: &str, find: &dyn Fn(&str) -> String) -> String {
    let fixture = Fixture::new();
    fs_err::create_dir(fixture.path("served")).unwrap();
    fs_err::write(fixture.path("served/file"), "what is served").unwrap();
    let serve = ["repo", "serve", "served", "--listen", "127.0.0.1:0"];
    let mut child = (fixture.command(".", &[options, &serve].concat()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        printed.push_str(&line.unwrap());
        if printed.ends_with(last) {
            break;
        }
    }
    let address = find(&printed);
    let place = (address.strip_prefix("http://")).and_then(|rest| rest.strip_suffix('/'));
    let mut stream = TcpStream::connect(place.expect(&address)).unwrap();
    write!(
        stream,
        "GET /file HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("what is served"), "{answer}");
    tool("kill", &["-INT", &child.id().to_string()]);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn the_address_is_what_is_printed() {
    let said = serve(&[], "/", &str::to_owned);
    assert!(
        said.contains("served (Ctrl-C ends it)") && !said.contains("http:"),
        "{said}"
    );
}

#[test]
fn the_address_is_printed_when_nothing_is_said() {
    let said = serve(&["--quiet"], "/", &str::to_owned);
    assert!(!said.contains("serving"), "{said}");
}

#[test]
fn the_address_is_in_json() {
    let find = |printed: &str| {
        let served: Value = serde_json::from_str(printed).unwrap();
        assert!(served["dir"].as_str().unwrap().ends_with("/served"), "{printed}");
        served["address"].as_str().unwrap().to_owned()
    };
    serve(&["--output", "json"], "}", &find);
}
