//! `string.find`, `match`, `gmatch` and `gsub`, which end when time is up ([`super::matching`]).

use std::{cell::Cell, ops::Range, rc::Rc, sync::Arc, time::Instant};

use memchr::memmem;
use mlua::{Function, IntoLuaMulti as _, Lua, MultiValue, Table, Value};

use crate::macros::World;

use super::{
    functions::{Text, named},
    matching::{Capture, Matcher, Wrong},
};

/// When time is up.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) end: Cell<Option<Instant>>,
    /// What `gsub` made so far, in bytes.
    pub(super) made: Cell<usize>,
    pub(super) world: Option<Arc<dyn World>>,
}

/// Shared by all functions of a state.
pub(super) type Deadline = Rc<Clock>;

/// Is time up, or has somebody asked to stop?
pub(super) fn is_late(clock: &Deadline) -> bool {
    clock.end.get().is_some_and(|end| Instant::now() >= end)
        || clock.world.as_ref().is_some_and(|world| world.is_interrupted())
}

/// What `gsub` makes: not more than it may, in one text and in all together.
struct Made<'c> {
    text: Vec<u8>,
    clock: &'c Deadline,
    most: usize,
}

impl Made<'_> {
    fn add(&mut self, bytes: &[u8]) -> mlua::Result<()> {
        let all = self.clock.made.get() + bytes.len();
        if self.text.len() + bytes.len() > self.most || all > 4 * self.most {
            return Err(mlua::Error::runtime("not enough memory"));
        }
        self.clock.made.set(all);
        self.text.extend_from_slice(bytes);
        Ok(())
    }
}

/// Puts the functions into the table `string`. `most`: the longest text that `gsub` may make, in bytes.
pub(super) fn install(lua: &Lua, deadline: &Deadline, most: usize) -> mlua::Result<()> {
    let string: Table = lua.globals().get("string")?;
    let clock = deadline.clone();
    let find = move |lua: &Lua, (text, pattern, init, plain): (Text, Text, Option<i64>, Option<bool>)| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let Some(init) = start(init, text.len()) else {
            return Value::Nil.into_lua_multi(lua);
        };
        if plain == Some(true) || !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
            let found = memmem::find(&text[init..], &pattern);
            let found = found.map(|at| (init + at + 1, init + at + pattern.len()));
            return match found {
                Some(found) => found.into_lua_multi(lua),
                None => Value::Nil.into_lua_multi(lua),
            };
        }
        let is_late = || is_late(&clock);
        let (anchored, pattern) = anchor(&pattern);
        let mut matcher = Matcher::new(&text, pattern, &is_late);
        let Some(found) = matcher.search(init, anchored).map_err(error)? else {
            return Value::Nil.into_lua_multi(lua);
        };
        let mut values = captured(lua, &matcher, &text, None)?;
        values.push_front(Value::Integer(found.end as i64));
        values.push_front(Value::Integer(found.start as i64 + 1));
        Ok(values)
    };
    string.set("find", named(lua, "find", find)?)?;

    let clock = deadline.clone();
    let match_ = move |lua: &Lua, (text, pattern, init): (Text, Text, Option<i64>)| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let Some(init) = start(init, text.len()) else {
            return Value::Nil.into_lua_multi(lua);
        };
        let is_late = || is_late(&clock);
        let (anchored, pattern) = anchor(&pattern);
        let mut matcher = Matcher::new(&text, pattern, &is_late);
        match matcher.search(init, anchored).map_err(error)? {
            Some(found) => captured(lua, &matcher, &text, Some(found)),
            None => Value::Nil.into_lua_multi(lua),
        }
    };
    string.set("match", named(lua, "match", match_)?)?;

    let clock = deadline.clone();
    let gmatch = move |lua: &Lua, (text, pattern, init): (Text, Text, Option<i64>)| {
        let init = start(init, text.as_bytes().len());
        each_match(lua, text, pattern, init, clock.clone())
    };
    string.set("gmatch", named(lua, "gmatch", gmatch)?)?;

    let clock = deadline.clone();
    let gsub = move |lua: &Lua, (text, pattern, with, count): (Text, Text, Value, Option<i64>)| {
        let made = Made {
            text: Vec::new(),
            clock: &clock,
            most,
        };
        substitute(lua, (&text.as_bytes(), &pattern.as_bytes()), with, count, made)
    };
    string.set("gsub", named(lua, "gsub", gsub)?)
}

/// The position that a number from 1, or from the end, means; none after the end.
fn start(init: Option<i64>, length: usize) -> Option<usize> {
    let at = match init.unwrap_or(1) {
        at @ 1.. => usize::try_from(at - 1).ok()?,
        0 => 0,
        from_end => length.saturating_sub(usize::try_from(from_end.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    (at <= length).then_some(at)
}

fn anchor(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, pattern),
    }
}

fn error(wrong: Wrong) -> mlua::Error {
    match wrong {
        Wrong::Pattern(text) => mlua::Error::runtime(text),
        Wrong::TooLong => mlua::Error::runtime(super::TOO_LONG),
    }
}

/// The captures as values; if there are none, the whole match.
fn captured(
    lua: &Lua,
    matcher: &Matcher<'_>,
    text: &[u8],
    whole: Option<Range<usize>>,
) -> mlua::Result<MultiValue> {
    let mut captures = matcher.captures().map_err(error)?;
    if let (true, Some(whole)) = (captures.is_empty(), whole) {
        captures.push(Capture::Text {
            from: whole.start,
            to: whole.end,
        });
    }
    captures
        .into_iter()
        .map(|capture| value(lua, capture, text))
        .collect()
}

fn value(lua: &Lua, capture: Capture, text: &[u8]) -> mlua::Result<Value> {
    Ok(match capture {
        Capture::Text { from, to } => Value::String(lua.create_string(&text[from..to])?),
        Capture::Position(at) => Value::Integer(at as i64 + 1),
    })
}

fn each_match(
    lua: &Lua,
    text: Text,
    pattern: Text,
    init: Option<usize>,
    clock: Deadline,
) -> mlua::Result<Function> {
    let mut next = init;
    let mut last = None;
    lua.create_function_mut(move |lua, _: MultiValue| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let is_late = || is_late(&clock);
        let mut matcher = Matcher::new(&text, &pattern, &is_late);
        while let Some(from) = next.filter(|from| *from <= text.len()) {
            match matcher.at(from).map_err(error)? {
                Some(to) if last != Some(to) => {
                    (next, last) = (Some(to), Some(to));
                    return captured(lua, &matcher, &text, Some(from..to));
                }
                _ => next = Some(from + 1),
            }
        }
        next = None;
        Value::Nil.into_lua_multi(lua)
    })
}

fn substitute(
    lua: &Lua,
    (text, pattern): (&[u8], &[u8]),
    with: Value,
    count: Option<i64>,
    mut made: Made<'_>,
) -> mlua::Result<(Text, i64)> {
    let with = match with {
        Value::Integer(_) | Value::Number(_) => lua.coerce_string(with)?.map_or(Value::Nil, Value::String),
        with @ (Value::String(_) | Value::Table(_) | Value::Function(_)) => with,
        other => {
            let got = if other.is_nil() {
                "no value"
            } else {
                other.type_name()
            };
            let what = format!("bad argument #3 to 'gsub' (string/function/table expected, got {got})");
            return Err(mlua::Error::runtime(what));
        }
    };
    let (anchored, pattern) = anchor(pattern);
    let clock = made.clock;
    let is_late = || is_late(clock);
    let mut matcher = Matcher::new(text, pattern, &is_late);
    let (mut done, mut at, mut last) = (0, 0, None);
    while count.is_none_or(|count| done < count) {
        match matcher.at(at).map_err(error)? {
            Some(to) if last != Some(to) => {
                done += 1;
                replacement(lua, &mut made, &matcher, text, at..to, &with)?;
                (at, last) = (to, Some(to));
            }
            _ if at < text.len() => {
                made.add(&text[at..=at])?;
                at += 1;
            }
            _ => break,
        }
        if anchored {
            break;
        }
    }
    made.add(&text[at..])?;
    Ok((lua.create_string(made.text)?, done))
}

/// Adds what stands in the place of one match.
fn replacement(
    lua: &Lua,
    made: &mut Made<'_>,
    matcher: &Matcher<'_>,
    text: &[u8],
    found: Range<usize>,
    with: &Value,
) -> mlua::Result<()> {
    let first = |index| match matcher.capture(index, &found).map_err(error)? {
        Some(capture) => value(lua, capture, text).map(Some),
        None => Ok(None),
    };
    let value = match with {
        Value::String(with) => return insert(lua, made, first, &text[found.clone()], &with.as_bytes()),
        Value::Table(table) => table.get::<Value>(first(0)?)?,
        Value::Function(function) => {
            function.call::<Value>(captured(lua, matcher, text, Some(found.clone()))?)?
        }
        _ => Value::Nil,
    };
    match value {
        Value::Nil | Value::Boolean(false) => made.add(&text[found]),
        Value::String(text) => made.add(&text.as_bytes()),
        value @ (Value::Integer(_) | Value::Number(_)) => {
            let text = lua.coerce_string(value)?;
            text.map_or(Ok(()), |text| made.add(&text.as_bytes()))
        }
        other => {
            let what = format!("invalid replacement value (a {})", other.type_name());
            Err(mlua::Error::runtime(what))
        }
    }
}

/// A replacement text with `%1` and its like.
fn insert(
    lua: &Lua,
    made: &mut Made<'_>,
    capture: impl Fn(usize) -> mlua::Result<Option<Value>>,
    whole: &[u8],
    with: &[u8],
) -> mlua::Result<()> {
    let mut bytes = with.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            made.add(&[*byte])?;
            continue;
        }
        match bytes.next() {
            Some(b'%') => made.add(b"%")?,
            Some(b'0') => made.add(whole)?,
            Some(digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                let Some(capture) = capture(index)? else {
                    let what = format!("invalid capture index %{} in replacement string", index + 1);
                    return Err(mlua::Error::runtime(what));
                };
                if let Some(text) = lua.coerce_string(capture)? {
                    made.add(&text.as_bytes())?;
                }
            }
            _ => return Err(mlua::Error::runtime("invalid use of '%' in replacement string")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Calls a function of `string` in both: what it returns, or the error's words, and for an iterator all that it gives.
    const CALL: &str = r#"
        local name, text, pattern, more = ...
        local given = more
        if more == "table" then given = { a = "<A>", b = false, [""] = 7 } end
        if more == "function" then given = function(...) return select('#', ...) .. tostring((...)) end end
        if more == "number" then given = -2 end
        local made = table.pack(pcall(function()
            if name ~= "gmatch" then return string[name](text, pattern, given) end
            local all = {}
            for one, two in string.gmatch(text, pattern) do
                all[#all + 1] = tostring(one) .. "," .. tostring(two)
            end
            return table.concat(all, ";")
        end))
        for index = 1, made.n do made[index] = tostring(made[index]) end
        return table.concat(made, "|")
    "#;

    fn answer(ours: bool, call: (&str, &str, &str, Option<&str>)) -> String {
        let lua = Lua::new();
        if ours {
            install(&lua, &Deadline::default(), 1 << 20).unwrap();
        }
        let said: Text = lua.load(CALL).call(call).unwrap();
        let said = said.to_string_lossy();
        // Of two things that are wrong with a call, either may be told.
        if said.starts_with("false|") {
            return "an error".to_owned();
        }
        said
    }

    fn pattern() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "a", "b", "1", " ", ".", "%a", "%d", "%s", "%W", "%z", "%Z", "%%", "[ab]", "[^a]", "[a-c1]",
            "[%a_]", "[]]", "(", ")", "()", "(a", "b)", "*", "+", "-", "?", "$", "^", "%b()", "%f[%a]",
            "%f[^%w]", "%1", "%2", "[", "%", "]", "é",
        ]);
        prop::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "a", "b", "ab", "c", "1", " ", "(", ")", "%", "]", "_", "é", "\n", "\0", "\0",
        ]);
        prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn patterns_match_as_in_lua(
            name in prop::sample::select(vec!["find", "match", "gmatch", "gsub"]),
            text in text(),
            pattern in pattern(),
            more in prop::sample::select(vec!["x", "%0%1", "<%1>%%", "%2", "%", "table", "function", "number"]),
        ) {
            let more = match (name, more) {
                ("gsub", more) => Some(more),
                (_, "number") => Some("number"),
                _ => None,
            };
            let call = (name, text.as_str(), pattern.as_str(), more);
            prop_assert_eq!(answer(true, call), answer(false, call));
        }
    }

    #[test]
    fn numbers_and_places_are_taken_as_in_lua() {
        for script in [
            "return string.find(12345, 3)",
            "return ('abc'):find('', 4), ('abc'):find('', 5), ('abc'):find('', -10)",
            "return ('a.c'):find('.', 2, true), ('a.c'):find('.', 3, true)",
            "return ('abc'):gsub('%w', '%0%0', 2)",
            "return ('abc'):gsub('b', 5.5), ('abc'):gsub('', '-')",
            "return ('hello world'):gsub('o', { o = 0 })",
            "return ('k = v'):match('^(%w+)%s*=%s*(%w+)$')",
            "return ('x'):rep(3):gsub('^x', 'y')",
            "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w)=(%w)') do t[#t + 1] = k .. v end return table.concat(t)",
            "return ('abc'):gmatch('%w', 3)()",
        ] {
            let lua = Lua::new();
            let native: Vec<String> = run(&lua, script);
            install(&lua, &Deadline::default(), 1 << 20).unwrap();
            assert_eq!(run(&lua, script), native, "{script}");
        }
    }

    fn run(lua: &Lua, script: &str) -> Vec<String> {
        let values: MultiValue = lua.load(script).call(()).unwrap();
        values.iter().map(|value| value.to_string().unwrap()).collect()
    }
}
