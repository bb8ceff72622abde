//! A user for one boot of an image that has none: handed over by the machine, as the agent of the tests is; the image stays as it is.
//!
//! systemd takes lines of sysusers.d(5) and tmpfiles.d(5) from credentials (systemd-sysusers(8), systemd-tmpfiles(8)). What it makes is
//! on the guest's disk, which is forgotten at the end.

use crate::Error;

/// Who may log in, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    user: String,
    keys: Vec<String>,
}

/// The credential that has the keys.
const KEYS: &str = "tmpfiles.keel-keys";

impl Seed {
    /// A user of the group `wheel` who logs in with one of the public `keys` (lines of authorized_keys, sshd(8)), and may become root
    /// without a password. An error for a name that is none, or one that every image has, and for lines that are no keys.
    pub fn new(user: &str, keys: &[String]) -> Result<Self, Error> {
        let wrong = |why: String| Err(Error::Seed { why });
        let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let other = |byte: u8| first(byte) || byte.is_ascii_digit() || byte == b'-';
        let valid = user.len() <= 31 && user.bytes().next().is_some_and(first) && user.bytes().all(other);
        if !valid {
            return wrong(format!("`{user}` is no name of a user"));
        }
        if user == "root" {
            return wrong("root does not log in; any other user can become root with sudo".to_owned());
        }
        let keys: Vec<String> = keys
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        let kinds = ["ssh-", "ecdsa-", "sk-"];
        for key in &keys {
            let has_kind = kinds.iter().any(|kind| key.starts_with(kind));
            if !has_kind || key.split_whitespace().count() < 2 || key.contains('\0') {
                let shown: String = key.chars().take(40).collect();
                return wrong(format!("`{}` is no public key", shown.escape_debug()));
            }
        }
        if keys.is_empty() {
            return wrong(format!(
                "`{user}` has no public key, and nobody logs in with a password"
            ));
        }
        Ok(Self {
            user: user.to_owned(),
            keys,
        })
    }

    /// Name and content of the credentials that make the user.
    pub(crate) fn credentials(&self) -> Vec<(String, Vec<u8>)> {
        let user = &self.user;
        let users = format!("u {user} 1000 \"{user}\" /home/{user} /usr/bin/bash\nm {user} wheel\n");
        // sudo names a file without a dot.
        let files = format!(
            "d /home/{user} 0700 {user} {user} -\n\
             d /home/{user}/.ssh 0700 {user} {user} -\n\
             f^ /home/{user}/.ssh/authorized_keys 0600 {user} {user} - {KEYS}\n\
             d /etc/sudoers.d 0750 root root -\n\
             f /etc/sudoers.d/{user} 0440 root root - {user} ALL=(ALL:ALL) NOPASSWD: ALL\n"
        );
        // Users of sysusers.d are locked, and sshd lets nobody in who is: no password, rather than a lock. The unit imports that for root only.
        let password = format!("passwd.hashed-password.{user}");
        let import = format!("[Service]\nImportCredential={password}\n");
        let credentials = [
            ("sysusers.extra".to_owned(), users),
            ("tmpfiles.extra".to_owned(), files),
            (KEYS.to_owned(), format!("{}\n", self.keys.join("\n"))),
            (password, "*".to_owned()),
            ("systemd.unit-dropin.systemd-sysusers.service".to_owned(), import),
        ];
        credentials.map(|(name, value)| (name, value.into_bytes())).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_with_keys_are_seeded() {
        let key = "ssh-ed25519 AAAAC3Nza me@here".to_owned();
        for user in ["", "root", "Alice", "a b", "../x", "9a", &"a".repeat(32)] {
            assert!(Seed::new(user, std::slice::from_ref(&key)).is_err(), "{user}");
        }
        for keys in [
            vec![],
            vec!["# none\n".to_owned()],
            vec!["-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned()],
        ] {
            assert!(Seed::new("alice", &keys).is_err(), "{keys:?}");
        }
        let seed = Seed::new("alice", &[format!("# mine\n\n{key}\n")]).unwrap();
        assert_eq!(seed.keys, [key]);
    }
}
