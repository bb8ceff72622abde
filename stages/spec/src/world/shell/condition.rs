//! `test` and `[`.

use super::{Machine, Sure, Unsure};

/// `test`: POSIX's rules by the number of arguments.
pub(super) fn test(machine: &dyn Machine, arguments: &[String]) -> Sure<i32> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let holds = match words.as_slice() {
        [] => false,
        [one] => !one.is_empty(),
        ["!", one] => one.is_empty(),
        [operator, operand] => unary(machine, operator, operand)?,
        [one, operator, other] => match binary(one, operator, other)? {
            Some(holds) => holds,
            None if *one == "!" => !unary(machine, operator, other)?,
            None => return Err(Unsure),
        },
        ["!", one, operator, other] => !binary(one, operator, other)?.ok_or(Unsure)?,
        _ => return Err(Unsure),
    };
    Ok(i32::from(!holds))
}

fn unary(machine: &dyn Machine, operator: &str, operand: &str) -> Sure<bool> {
    match operator {
        "-n" => return Ok(!operand.is_empty()),
        "-z" => return Ok(operand.is_empty()),
        "-e" | "-a" | "-f" | "-d" | "-s" | "-r" | "-x" => {}
        _ => return Err(Unsure),
    }
    if operand.is_empty() {
        return Ok(false);
    }
    let Some(seen) = machine.look(operand)? else {
        return Ok(false);
    };
    Ok(match operator {
        "-f" => seen.is_file,
        "-d" => seen.is_folder,
        "-s" if seen.is_file => seen.size > 0,
        "-r" | "-x" => permission(seen.mode, if operator == "-r" { 0o4 } else { 0o1 })?,
        "-s" => return Err(Unsure),
        _ => true,
    })
}

/// Whose file it is does not matter when everybody may, or nobody.
fn permission(mode: u32, bit: u32) -> Sure<bool> {
    match mode & (bit | bit << 3 | bit << 6) {
        0 => Ok(false),
        all if all == (bit | bit << 3 | bit << 6) => Ok(true),
        _ => Err(Unsure),
    }
}

/// None if there is no such operator.
fn binary(one: &str, operator: &str, other: &str) -> Sure<Option<bool>> {
    let number = |text: &str| -> Sure<i64> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            text.parse().map_err(|_| Unsure)
        } else {
            Err(Unsure)
        }
    };
    Ok(Some(match operator {
        "=" | "==" => one == other,
        "!=" => one != other,
        "-a" => !one.is_empty() && !other.is_empty(),
        "-o" => !one.is_empty() || !other.is_empty(),
        "-eq" => number(one)? == number(other)?,
        "-ne" => number(one)? != number(other)?,
        "-lt" => number(one)? < number(other)?,
        "-le" => number(one)? <= number(other)?,
        "-gt" => number(one)? > number(other)?,
        "-ge" => number(one)? >= number(other)?,
        "<" | ">" | "-nt" | "-ot" | "-ef" => return Err(Unsure),
        _ => return Ok(None),
    }))
}
