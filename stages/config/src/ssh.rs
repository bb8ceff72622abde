//! Public keys of OpenSSH, as lines of `authorized_keys` have them (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The types that OpenSSH 9 takes; `ssh-dss` is not among them.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What is wrong with a line, which key `key` has, if something is. The line is not repeated: it may be a private key.
pub(crate) fn wrong(key: &str, line: &str) -> Option<String> {
    if line.contains("PRIVATE KEY") {
        return Some(format!(
            "`{key}` has a private key: take it out of the tree, and give the public one (`NAME.pub`)"
        ));
    }
    if line.contains(['\n', '\r', '\0']) {
        return Some(format!("an entry of `{key}` is one line"));
    }
    // Options, which may come first, have quoted blanks; no word of them is a type and followed by such a key.
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_key =
        |pair: &[&str]| TYPES.contains(&pair[0]) && names(pair[1]) == Some(pair[0].as_bytes().to_vec());
    (!words.windows(2).any(is_key)).then(|| {
        format!("an entry of `{key}` is no public key of OpenSSH such as `ssh-ed25519 AAAA… somebody`")
    })
}

/// The type that the key itself says: it is a row of fields, each a length of four bytes and so many bytes (RFC 4253, 6.6).
fn names(text: &str) -> Option<Vec<u8>> {
    // No key is longer.
    const MOST: usize = 16 * 1024;
    let bytes = (text.len() <= MOST).then(|| STANDARD.decode(text).ok())??;
    let (mut fields, mut rest) = (Vec::new(), &bytes[..]);
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        fields.push(field);
        rest = after;
    }
    (fields.len() > 1).then(|| fields[0].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIFyWtgGE06d/uBFQm70tYKvJKwJfRDoh06bWQQwC6Qkm";

    #[test]
    fn lines_of_public_keys() {
        for (line, is_right) in [
            (format!("ssh-ed25519 {KEY}"), true),
            (format!("ssh-ed25519 {KEY} me@here and more"), true),
            (
                format!("restrict,command=\"/bin/ls -l\" ssh-ed25519 {KEY} me"),
                true,
            ),
            // It says that it is another type.
            (format!("ssh-rsa {KEY}"), false),
            (format!("ssh-dss {KEY}"), false),
            (format!("ssh-ed25519 {}", &KEY[..40]), false),
            (format!("ssh-ed25519 {}", KEY.replace('1', "-")), false),
            (KEY.to_owned(), false),
            (String::new(), false),
            (format!("ssh-ed25519 {KEY}\nssh-ed25519 {KEY}"), false),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(), false),
        ] {
            assert_eq!(wrong("k", &line).is_none(), is_right, "{line}");
        }
    }
}
