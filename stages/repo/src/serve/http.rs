//! As much of HTTP/1.1 (RFC 9110, RFC 9112) as clients of a repository use.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use keel_artefact::Interrupt;

use super::file::{Found, Root};

/// The longest request line with headers.
pub(super) const LARGEST_HEAD: usize = 8192;
const MOST_HEADERS: usize = 64;

/// A status line's number and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u16,
    words: &'static str,
}

const OK: Status = Status {
    code: 200,
    words: "OK",
};
const PARTIAL: Status = Status {
    code: 206,
    words: "Partial Content",
};
const NOT_MODIFIED: Status = Status {
    code: 304,
    words: "Not Modified",
};
const BAD: Status = Status {
    code: 400,
    words: "Bad Request",
};
const NOT_FOUND: Status = Status {
    code: 404,
    words: "Not Found",
};
const NOT_ALLOWED: Status = Status {
    code: 405,
    words: "Method Not Allowed",
};
const RANGE: Status = Status {
    code: 416,
    words: "Range Not Satisfiable",
};
const TOO_LARGE: Status = Status {
    code: 431,
    words: "Request Header Fields Too Large",
};
const VERSION: Status = Status {
    code: 505,
    words: "HTTP Version Not Supported",
};

/// A request, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Parts of the path, decoded.
    pub(super) path: Vec<String>,
    close: bool,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

/// Where the request's head ends, with its empty line.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

impl Request {
    /// From its head, with the empty line. The error is the answer.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Status> {
        if head.len() > LARGEST_HEAD {
            return Err(TOO_LARGE);
        }
        let text = std::str::from_utf8(head).map_err(|_| BAD)?;
        let mut lines = text.strip_suffix("\r\n\r\n").ok_or(BAD)?.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BAD);
        };
        let close = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return Err(VERSION),
        };
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(BAD);
        }
        let path = split_target(target).ok_or(BAD)?;
        let mut request = Self {
            method: method.to_owned(),
            path,
            close,
            range: None,
            if_range: None,
            if_none_match: None,
        };
        for (number, line) in lines.enumerate() {
            if number == MOST_HEADERS {
                return Err(TOO_LARGE);
            }
            request.header(line)?;
        }
        Ok(request)
    }

    fn header(&mut self, line: &str) -> Result<(), Status> {
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        if name.is_empty() || name.contains([' ', '\t']) || value.contains(['\r', '\n', '\0']) {
            return Err(BAD);
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" if value.eq_ignore_ascii_case("close") => self.close = true,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => self.close = false,
            "range" => self.range = Some(value.to_owned()),
            "if-range" => self.if_range = Some(value.to_owned()),
            "if-none-match" => self.if_none_match = Some(value.to_owned()),
            // Nobody sends content with a GET but to confuse.
            "transfer-encoding" => return Err(BAD),
            "content-length" if value != "0" => return Err(BAD),
            _ => {}
        }
        Ok(())
    }

    /// The path for people to read.
    pub(super) fn shown(&self) -> String {
        let path = format!("/{}", self.path.join("/"));
        path.chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect()
    }
}

/// The decoded parts of the path of a request's target; a query is dropped.
fn split_target(target: &str) -> Option<Vec<String>> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    let path = path.split(['?', '#']).next()?.strip_prefix('/')?;
    path.split('/').map(decode).collect()
}

/// Percent-decoding (RFC 3986 §2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (
                    char::from(rest.next()?).to_digit(16)?,
                    char::from(rest.next()?).to_digit(16)?,
                );
                (high << 4 | low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// An answer, ready to be sent.
pub(super) struct Response {
    pub(super) status: Status,
    headers: Vec<(&'static str, String)>,
    body: Body,
    /// Not sent for HEAD, but its length is told.
    is_head: bool,
    pub(super) close: bool,
}

enum Body {
    Text(String),
    File { file: File, start: u64, length: u64 },
    Nothing,
}

impl Response {
    /// A refusal after which the connection ends.
    pub(super) fn failure(status: Status) -> Self {
        let body = Body::Text(format!("{}\n", status.words));
        let headers = vec![("Content-Type", "text/plain".to_owned())];
        Self {
            status,
            headers,
            body,
            is_head: false,
            close: true,
        }
    }

    pub(super) fn to(request: &Request, root: &Root) -> Self {
        let is_head = request.method == "HEAD";
        if !is_head && request.method != "GET" {
            let mut response = Self::failure(NOT_ALLOWED);
            response.headers.push(("Allow", "GET, HEAD".to_owned()));
            return response;
        }
        let mut response = match root.find(&request.path) {
            Some(found) => Self::file(request, found),
            None => Self::failure(NOT_FOUND),
        };
        response.is_head = is_head;
        response.close = request.close;
        response
    }

    fn file(request: &Request, found: Found) -> Self {
        let Found { file, size, tag } = found;
        let mut headers = vec![
            (
                "Content-Type",
                content_type(request.path.last().map_or("", String::as_str)).to_owned(),
            ),
            ("Accept-Ranges", "bytes".to_owned()),
            ("Cache-Control", "no-cache".to_owned()),
            ("ETag", tag.clone()),
        ];
        let unchanged = request.if_none_match.as_ref().is_some_and(|tags| {
            tags.split(',')
                .any(|other| other.trim() == "*" || other.trim().trim_start_matches("W/") == tag)
        });
        let answer = |status, headers, body| Self {
            status,
            headers,
            body,
            is_head: false,
            close: false,
        };
        if unchanged {
            return answer(NOT_MODIFIED, headers, Body::Nothing);
        }
        let wanted = request
            .range
            .as_ref()
            .filter(|_| request.if_range.as_ref().is_none_or(|other| *other == tag));
        match wanted.map_or(Wanted::All, |range| parse_range(range, size)) {
            Wanted::All => answer(
                OK,
                headers,
                Body::File {
                    file,
                    start: 0,
                    length: size,
                },
            ),
            Wanted::Part { start, length } => {
                headers.push((
                    "Content-Range",
                    format!("bytes {start}-{}/{size}", start + length - 1),
                ));
                answer(PARTIAL, headers, Body::File { file, start, length })
            }
            Wanted::None => {
                headers.push(("Content-Range", format!("bytes */{size}")));
                answer(RANGE, headers, Body::Text(String::new()))
            }
        }
    }

    pub(super) fn send(self, stream: &mut impl Write, close: bool, interrupt: &Interrupt) -> io::Result<()> {
        let Status { code, words } = self.status;
        let mut head =
            format!("HTTP/1.1 {code} {words}\r\nServer: keel\r\nX-Content-Type-Options: nosniff\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Body::Text(text) => head.push_str(&format!("Content-Length: {}\r\n", text.len())),
            Body::File { length, .. } => head.push_str(&format!("Content-Length: {length}\r\n")),
            Body::Nothing => {}
        }
        head.push_str(if close {
            "Connection: close\r\n\r\n"
        } else {
            "\r\n"
        });
        stream.write_all(head.as_bytes())?;
        match self.body {
            _ if self.is_head => {}
            Body::Nothing => {}
            Body::Text(text) => stream.write_all(text.as_bytes())?,
            Body::File {
                mut file,
                start,
                length,
            } => {
                file.seek(SeekFrom::Start(start))?;
                copy(&mut file.take(length), length, stream, interrupt)?;
            }
        }
        stream.flush()
    }
}

/// Copies all `length` bytes. A file that has become shorter breaks the connection: the length was promised.
fn copy(
    content: &mut impl Read,
    mut length: u64,
    stream: &mut impl Write,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    while length > 0 {
        if interrupt.is_set() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = match content.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..count])?;
        length -= count as u64;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part { start: u64, length: u64 },
    None,
}

/// One range of bytes (RFC 9110 §14.1.2). Several at once, other units and nonsense mean the whole file, as is allowed.
fn parse_range(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (number(first), number(last)) {
        (Some(first), _) if last.is_empty() && first < size => Wanted::Part {
            start: first,
            length: size - first,
        },
        (Some(first), Some(last)) if first <= last && first < size => Wanted::Part {
            start: first,
            length: last.min(size - 1) - first + 1,
        },
        (Some(first), Some(last)) if first > last => Wanted::All,
        (Some(_), Some(_)) => Wanted::None,
        (Some(_), None) if last.is_empty() => Wanted::None,
        (None, Some(count)) if first.is_empty() && count > 0 && size > 0 => {
            let length = count.min(size);
            Wanted::Part {
                start: size - length,
                length,
            }
        }
        (None, Some(_)) if first.is_empty() => Wanted::None,
        _ => Wanted::All,
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("rpm") => "application/x-rpm",
        Some("xml") => "text/xml",
        Some("zst") => "application/zstd",
        Some("asc" | "key") => "application/pgp-keys",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let path = |text: &str| {
            Request::parse(format!("GET {text} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
                .map(|request| request.path)
        };
        assert_eq!(path("/a/b.rpm").unwrap(), ["a", "b.rpm"]);
        assert_eq!(path("http://host:8/a%2Bb?x#y").unwrap(), ["a+b"]);
        // What is decoded is judged by `Root::find`.
        assert_eq!(path("/a/%2e%2e/b").unwrap(), ["a", "..", "b"]);
        assert_eq!(path("/%2fetc").unwrap(), ["/etc"]);
        for bad in ["", "a", "*", "/%", "/%zz", "/%ff", "http://host", "/a b"] {
            assert!(path(bad).is_err(), "{bad}");
        }
        for (text, code) in [
            ("GET / HTTP/1.1\r\nBad header: x\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/3\r\n\r\n", 505),
            ("GET /\r\n\r\n", 400),
            ("get / HTTP/1.1\r\n\r\n", 400),
            ("\r\n\r\n", 400),
        ] {
            assert_eq!(Request::parse(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(Request::parse(many.as_bytes()).unwrap_err().code, 431);
    }

    #[test]
    fn ranges() {
        let part = |start, length| Wanted::Part { start, length };
        for (range, wanted) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-100", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=10-", Wanted::None),
            ("bytes=10-20", Wanted::None),
            ("bytes=-0", Wanted::None),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=99999999999999999999999-", Wanted::All),
            ("lines=1-2", Wanted::All),
        ] {
            assert_eq!(parse_range(range, 10), wanted, "{range}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Wanted::None);
        assert_eq!(parse_range("bytes=-5", 0), Wanted::None);
    }
}
