//! Sizes as people write them: `512M`, `2G`, `4096`.

/// A text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a size: write a number of bytes, or a number followed by K, M, G or T (powers of 1024)"
)]
pub struct ParseError(pub String);

/// Bytes of a text such as `512M`. Units are powers of 1024; `MiB`, `MB` and the like are not taken.
pub fn parse(text: &str) -> Result<u64, ParseError> {
    let error = || ParseError(text.to_owned());
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error());
    }
    let number: u64 = digits.parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1K", 1024),
            ("512M", 512 << 20),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes));
        }
        for bad in ["", "M", "-1", "1.5G", "512MB", "512m", "99999999999T", " 1", "+1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
