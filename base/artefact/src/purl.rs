//! Package URLs: names of packages across ecosystems.
//!
//! Format: <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>.

use std::fmt::Write as _;

/// The URL of a package: `pkg:KIND/NAMESPACE/NAME@VERSION?QUALIFIERS`. Empty parts are left out; qualifiers come sorted by key.
pub fn purl(kind: &str, namespace: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut text = format!("pkg:{kind}");
    let parts = namespace.split('/').filter(|part| !part.is_empty());
    for part in parts.chain([name]) {
        text.push('/');
        encode(&mut text, part);
    }
    if !version.is_empty() {
        text.push('@');
        encode(&mut text, version);
    }
    let mut qualifiers: Vec<_> = (qualifiers.iter())
        .filter(|(_, value)| !value.is_empty())
        .collect();
    qualifiers.sort();
    for (index, (key, value)) in qualifiers.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        encode(&mut text, value);
    }
    text
}

/// Percent-encodes all but letters, digits, `.-_~` and `:`.
fn encode(text: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                text.push(byte.into());
            }
            // Writing to a String cannot fail.
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::purl;

    #[test]
    fn examples_of_the_specification() {
        let curl = purl(
            "rpm",
            "fedora",
            "curl",
            "7.50.3-1.fc25",
            &[("distro", "fedora-25"), ("arch", "i386")],
        );
        assert_eq!(
            curl,
            "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25"
        );
        let npm = purl("npm", "@angular", "animation", "12.3.1", &[]);
        assert_eq!(npm, "pkg:npm/%40angular/animation@12.3.1");
        let odd = purl("rpm", "", "libstdc++", "1^git~2+x", &[("epoch", "")]);
        assert_eq!(odd, "pkg:rpm/libstdc%2B%2B@1%5Egit~2%2Bx");
    }
}
