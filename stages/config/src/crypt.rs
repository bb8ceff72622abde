//! Hashes of passwords, as crypt(5) of libxcrypt has them.

/// Is it a hash that takes an attacker long? (SHA-256, SHA-512, bcrypt, scrypt, yescrypt.)
pub(crate) fn is_hash(text: &str) -> bool {
    let Some((method, rest)) = text.strip_prefix('$').and_then(|text| text.split_once('$')) else {
        return false;
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "./$=,-".contains(c);
    let length = match method {
        "5" => 43,
        "6" => 86,
        "2a" | "2b" | "2y" => 53,
        "7" | "y" | "gy" => 43,
        _ => return false,
    };
    let Some((before, digest)) = rest.rsplit_once('$') else {
        return false;
    };
    !before.is_empty()
        && digest.len() == length
        && text.chars().all(legal)
        && digest
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "./".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_from_passwords() {
        let digest = |n: usize| "aB3./".repeat(20)[..n].to_owned();
        for (text, expected) in [
            // Made by `openssl passwd -6 -salt 1234567890 test` and `-5`.
            (
                "$6$1234567890$SHjEIYaJW3c6LBS73FjvNgjYA3uW.KNWjiZUkDLakWyOpL5umdstT6rFf4SvdKlrQcfRpmk4MEJ1RtX/aHpJt1",
                true,
            ),
            ("$5$1234567890$acHK/Mzdx5MlymPSt516oqDBBijw7A67GDgt6NfGL2.", true),
            (&format!("$5$rounds=5000$salt${}", digest(43)), true),
            (&format!("$2b$12${}", digest(53)), true),
            (&format!("$y$j9T$salt${}", digest(43)), true),
            // MD5 and DES are no hashes any more.
            ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", false),
            ("abJnggxhB/yWI", false),
            ("secret", false),
            ("$6$secret", false),
            (&format!("$6$salt${}", digest(85)), false),
            (&format!("$6$sa:lt${}", digest(86)), false),
            (&format!("$6$salt\n${}", digest(86)), false),
            ("", false),
        ] {
            assert_eq!(is_hash(text), expected, "{text}");
        }
    }
}
