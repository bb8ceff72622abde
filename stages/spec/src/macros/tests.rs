//! Small cases, each with the answer of the real rpm; where rpm is installed, they are asked again.

use std::{io, process::Command, sync::Arc};

use super::*;

/// A world of a few answers.
pub(crate) struct Nowhere;

impl World for Nowhere {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        let command = std::str::from_utf8(command).map_err(|error| error.to_string())?;
        match command.strip_prefix("echo ") {
            Some(words) => Ok(format!("{words}\n\n").into_bytes()),
            None => Ok(Vec::new()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/u".to_owned())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match path {
            "/macros.a" => Ok(b"# no\n%a_b  one \\\n  two\n\t%c(n:) {%1-%{-n*}}\nx\n%broken\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &str) -> bool {
        path == "/there"
    }

    fn list(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn processors(&self) -> usize {
        3
    }

    fn now(&self) -> i64 {
        0
    }
}

pub(crate) fn engine(behaviour: Behaviour) -> Engine {
    let table = Engine::builtins(behaviour);
    Engine::new(table, behaviour, Arc::new(Nowhere), Limits::default())
}

/// Text, and what rpm makes of it: since 4.18, if nothing else is said.
const CASES: &[(&str, &str)] = &[
    ("plain 100%", "plain 100%"),
    ("%%a %%", "%a %"),
    (
        "%nope %{nope} %{nope:x} %?nope %!nope",
        "%nope %{nope} %{nope:x}  %nope",
    ),
    ("%{}%{?}%{!?}", "%{}%{?}%{!?}"),
    (
        "%define a x%{b}\n%define b 1\n%a%{?a}%{!?a:n}%{?c}%{!?c:n}%{?a:y}",
        "x1x1ny",
    ),
    // A question with an empty answer expands the macro after all.
    ("%define a x\n%{?a:}|%{!?a:}|", "x||"),
    ("%{?nope:%{error:never}}%{!?!nope:x}", ""),
    ("%define a  b \\\n c\nd\n%a|", "d\nb \n c|"),
    ("%define a {b\n}%a|", "b\n|"),
    ("%define a b\\c\\\\d\n%a", "bc\\d"),
    ("%define a %{expand:%%b}\n%define b 7\n%a", "7"),
    ("%global g %{l}\n%define l 1\n%g", "1"),
    (
        "%define l 1\n%global g %{l}\n%define l 2\n%g%undefine l\n%l",
        "1\n1",
    ),
    (
        "%define p() [%0|%1|%2|%#|%*|%**]\n%p a  b\n%{p:a b}%{p a b}%p",
        "[p|a|b|2|a b|a b]\n[p|a b|%2|1|a b|a b][p|a|b|2|a b|a b][p|%1|%2|0||]",
    ),
    (
        "%define o(ab:) %{-a:A}%{-b:B%{-b*}}%{!-b:n}%{-b}.%*\n%o -a x -b y z\n%o -by",
        "ABy-b y.x z\nBy-b y.",
    ),
    ("%define o(-) %*\n%o -a -b", "-a -b"),
    // Arguments are not seen by the macros that a parametric macro calls.
    ("%define i() %1\n%define o() %i%{i z}\n%o x", "%1z"),
    ("%define o() %define s 1%{s}\n%o a\n%s", "\n%s"),
    ("%(echo a b)|%(false)|", "a b||"),
    ("%{basename:/a/b.c}%{dirname:/a/b}%{suffix:a.b.c}", "b.c/ac"),
    ("%{shrink: a  b\tc }|%{quote:a b}|%{expand:%%%%a}", "a b c|a b|%a"),
    ("%{url2path:http://h/p/q}%{u2p:/x}%{u2p:ftp://h}", "/p/q/x/"),
    (
        "%{exists:/there}%{exists:/not}%{getenv:HOME}%{getenv:NOT}",
        "10/home/u",
    ),
    ("%{shescape:it's}", "'it'\\''s'"),
    (
        "%define SOURCE1 s\n%define PATCH0 p\n%{S:1}%{P:0}%{S:2}",
        "sp%SOURCE2",
    ),
    ("a%dnl rest of it\nb", "ab"),
    (
        "%[1+2*3]%[1 < 2 ? \"a\" : \"b\"]%[\"%{getenv:HOME}\" == \"/home/u\"]",
        "7a1",
    ),
    ("%define one 1\n%[%{one} + 0%{?two}]%{expr:1 == 1 && 2}", "12"),
    (
        "%[v\"1.10\" > v\"1.9\"]%[\"1.10\" > \"1.9\"]%[v\"2:1\" > v\"3\"]",
        "101",
    ),
    ("%[0 && %{error:never}]%[!1 || -3]", "0-3"),
    // Numbers are compared by their difference, which may be too large.
    ("%[2 < 2147483647]%[-2 < 2147483647]", "10"),
    ("%{lua:print(1, rpm.expand('%%'), \"x\")}", "1\t%\tx"),
    (
        "%define m(a:b) %{lua: print(opt.a, opt.b == '', #arg, arg[1])}\n%m -a 1 x -b",
        "1\ttrue\t1\tx",
    ),
    (
        "%{lua: macros.z = 'q'; print(macros.z, macros.nope, rpm.isdefined('z'))}%z",
        "q\tnil\ttrue\tfalseq",
    ),
    (
        "%define m() <%1,%2>\n%{lua: print(macros.m('a b'), macros.m({'a b', 'c'}))}",
        "<a,b>\t<a b,c>",
    ),
    (
        "%{lua: rpm.define('d() [%1]'); print(rpm.vercmp('1.0', '1.0~1'))}%{d 5}",
        "1[5]",
    ),
    ("%{lua: return 1, 2}", "1\t2"),
    (
        "%[v\"1-1\" > v\"1\"]%[v\"1\" < v\"1-1\"]%[v\"1\" == v\"1-1\"]%{lua:print(rpm.ver('1-1') > rpm.ver('1'))}",
        "110true",
    ),
    (
        "%{lua: local h = rpm.register('a', function(a) print(#a, a[2], type(a[3])) end)\n\
         rpm.call('a', 'x', 7.5, nil) rpm.unregister('a', h) rpm.call('a') rpm.call('b')}",
        "3\t7.5\tuserdata",
    ),
    (
        "%{lua: posix.setenv('A', 'b c') posix.putenv('D=e') print(os.getenv('A'))}%{getenv:D}\
         %{lua: posix.unsetenv('A') print(posix.getenv('A'), posix.setenv('D', 'f', false))}%{getenv:D}",
        "b cenil\t0.0e",
    ),
    (
        "%{lua: print(pcall(function() rpm.expand() end)) print(pcall(function() local x = nil + 1 end)) print(pcall(error, 7))\n\
         print(xpcall(rpm.expand, function(why) return #why end, '%%'))}",
        "false\t[string \"<lua>\"]:1: bad argument #1 to 'expand' (string expected, got no value)false\t[string \"<lua>\"]:1: attempt to perform \
         arithmetic on a nil valuefalse\t7true\t%",
    ),
    ("%{verbose}%{verbose:x}%{!verbose:y}%verbose", "00"),
];

const SINCE_420: &[(&str, &str)] = &[
    (
        "%{len:abc}%{lower:AbC}%{upper:x}%{reverse:abc}%{rep ab 2}%{sub hello 2 -2}",
        "3abcXcbaababell",
    ),
    ("%{gsub aab a x}|%{gsub aab a x 1}", "xxb|xab"),
    ("%define o() %#:%1|%2\n%{o %{quote:a b} c}", "2:a b|c"),
];

#[test]
fn expansions_are_rpms() {
    let mut wrong = Vec::new();
    for behaviour in [Behaviour::Rpm418, Behaviour::Rpm420, Behaviour::Rpm6] {
        for (text, expected) in CASES {
            let mut engine = engine(behaviour);
            let got = engine.expand(text);
            // rpm 4.18 lets quotes be seen.
            let got = got.map(|got| got.replace('\x1f', ""));
            let said = engine.take_messages();
            if got.as_deref() != Ok(*expected) {
                wrong.push(format!(
                    "{text} ({behaviour:?}): {got:?}, not {expected:?}: {said:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (text, expected) in SINCE_420 {
        let mut engine = engine(Behaviour::Rpm420);
        let got = engine.expand(text);
        assert_eq!(
            got.as_deref(),
            Ok(*expected),
            "{text}: {:?}",
            engine.take_messages()
        );
    }
}

#[test]
fn what_fails_says_what_rpm_says() {
    for (text, why) in [
        ("%{unterminated", "Unterminated {: {unterminated"),
        ("%define 1a b", "Macro %1a has illegal name (%define)"),
        ("%define a", "Macro %a has empty body"),
        ("%define a(b c", "Macro %a has unterminated opts"),
        ("%define a {b", "Macro %a has unterminated body"),
        ("%define define x", "Macro %define is a built-in (%define)"),
        ("%define o(a) x\n%o -b", "Unknown option b in o(a)"),
        ("%{error:no way}", "no way"),
        ("%{basename}", "%basename: argument expected"),
        ("%{rpmversion:x}", "%rpmversion: unexpected argument"),
        ("%{load:/nope}", "failed to load macro file /nope"),
        ("%[1 +]", "unexpected end of expression: 1 +"),
        (
            "%[a]",
            "bare words are no longer supported, please use \"...\": a",
        ),
        ("%[1 + \"a\"]", "types must match: 1 + \"a\""),
        ("%[1/0]", "division by zero: 1/0"),
        (
            "%{lua: x.y = 1}",
            "lua script failed: [string \"<lua>\"]:1: attempt to index a nil value (global 'x')",
        ),
        (
            "%{lua: (}",
            "invalid syntax in lua script: [string \"<lua>\"]:1: unexpected symbol near <eof>",
        ),
        (
            "%define a %a\n%a",
            "Too many levels of recursion in macro expansion. It is likely caused by recursive macro declaration.",
        ),
        (
            "%{lua:\nrpm.expand()}",
            "lua script failed: [string \"<lua>\"]:2: bad argument #1 to 'expand' (string expected, got no value)",
        ),
        (
            "%{lua: macros.basename({{}})}",
            "lua script failed: [string \"<lua>\"]:1: bad argument #1 to 'basename' (cannot convert to string)",
        ),
        (
            "%{lua: rpm.register('a')}",
            "lua script failed: [string \"<lua>\"]:1: bad argument #2 to 'register' (function expected)",
        ),
        (
            "%{lua: rpm.call('a', {})}",
            "lua script failed: [string \"<lua>\"]:1: unsupported Lua type passed to hook",
        ),
    ] {
        let mut engine = engine(Behaviour::Rpm420);
        let got = engine.expand(text);
        let said = engine.take_messages();
        assert_eq!(got, Err(Failed), "{text}");
        let first = said.iter().find(|message| message.severity == Severity::Error);
        assert_eq!(first.map(|message| message.text.as_str()), Some(why), "{text}");
    }
}

#[test]
fn messages_know_where_they_come_from() {
    let mut engine = engine(Behaviour::Rpm420);
    engine.load_text("macros.x", "%inner() %{error:no}\n\n%outer %{inner 1}\n");
    engine.set_place(Some(("a.spec".into(), 7)));
    assert_eq!(engine.expand_far("x%{outer}y"), Err("x".to_owned()));
    let said = engine.take_messages();
    assert_eq!(said[0].place, Some(("a.spec".into(), 7)));
    let within = said[0].within.iter();
    let within: Vec<_> = within.map(|call| (&*call.name, call.defined.clone())).collect();
    let file = |line| Some(("macros.x".into(), line));
    let expected = [("outer", file(3)), ("inner", file(1)), ("error", None)];
    assert_eq!(within, expected);
}

#[test]
fn what_macros_write_is_no_part_of_the_text() {
    let mut engine = engine(Behaviour::Rpm420);
    let text = "a%{echo:one}%{lua: io.write('two', 3) io.stdout:write('x'):write('y')}b";
    assert_eq!(engine.expand(text).as_deref(), Ok("ab"));
    let said = engine.take_messages();
    let said: Vec<_> = said
        .iter()
        .map(|message| (message.severity, &*message.text))
        .collect();
    let expected = ["one\n", "two3", "x", "y"].map(|text| (Severity::Output, text));
    assert_eq!(said, expected);
}

#[test]
fn files_are_found_by_pattern() {
    struct Three;
    impl World for Three {
        fn shell(&self, _: &[u8]) -> Result<Vec<u8>, String> {
            Ok(Vec::new())
        }
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
        fn read(&self, _: &str) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn exists(&self, path: &str) -> bool {
            matches!(path, "/d" | "/d/a1" | "/d/b2" | "r/x")
        }
        fn list(&self, path: &str) -> Vec<String> {
            let names: &[&str] = match path {
                "/d" => &[".h", "a1", "b2"],
                "/" => &["d"],
                "." => &["r"],
                "r" => &["x"],
                _ => &[],
            };
            names.iter().map(|name| (*name).to_owned()).collect()
        }
        fn processors(&self) -> usize {
            1
        }
        fn now(&self) -> i64 {
            0
        }
    }
    for (pattern, found) in [
        ("/d/*", "/d/a1 /d/b2"),
        ("/?/{b,a}*", "/d/b2 /d/a1"),
        ("/d/.*", "/d/.h"),
        ("/d/a1", "/d/a1"),
        ("*/x", "r/x"),
        ("/n/*", ""),
        ("", ""),
    ] {
        assert_eq!(pattern::glob(&Three, pattern).join(" "), found, "{pattern}");
    }
}

#[test]
fn macro_files_are_read_as_rpm_reads_them() {
    let mut engine = engine(Behaviour::Rpm420);
    assert_eq!(
        engine.expand("%{load:/macros.a}"),
        Err(Failed),
        "one line has no body"
    );
    assert_eq!(engine.expand("%a_b|%{c -n 1 x}").unwrap(), "one \n  two|x-1");
}

#[test]
fn hostile_texts_end() {
    let small = Limits {
        time: Duration::from_millis(300),
        text: 1 << 20,
        lua_memory: 8 << 20,
    };
    for text in [
        "%define a %b%b%b%b\n%define b %c%c%c%c\n%define c %d%d%d%d\n%define d %e%e%e%e\n%define e xxxxxxxxxxxxxxxx%f%f%f%f%f\n%define f %g%g%g%g%g\n%define g %h%h%h%h%h\n%define h %{lua:print(1)}yyyyyyyyyyy\n%a%a%a%a%a%a",
        "%{lua: while true do end}",
        "%{lua: local t = {} while true do t[#t + 1] = ('x'):rep(100) end}",
        "%{lua: while true do print(('x'):rep(10000)) end}",
        "%{lua: local function f() return pcall(f) end f() while true do pcall(error) end}",
        "%{lua: while true do pcall(function() while true do end end) end}",
        "%{lua: while true do xpcall(function() while true do end end, function() while true do end end) end}",
        "%{lua: local t = setmetatable({}, { __gc = function() while true do end end }) t = nil}",
        "%{lua: print(setmetatable({}, { __tostring = function() while true do end end }))}",
        "%{lua: error(setmetatable({}, { __tostring = function() while true do end end }))}",
        "%{lua: (('a'):rep(30000)):find(('.-'):rep(9) .. 'b')}",
        "%{lua: pcall(string.gsub, ('a'):rep(30000), ('.-'):rep(9) .. 'b', '')}",
        "%{lua: for _ in (('a'):rep(30000)):gmatch(('a*'):rep(9) .. 'b') do end}",
        "%{lua: (('a'):rep(100000)):gsub('.', ('b'):rep(100000))}",
        "%{lua: table.move({}, 1, 1e15, 2)}",
        "%{lua: local s = ('a'):rep(1000000) s:gsub('.*', ('%0'):rep(1000))}",
        "%{lua: local s = ('a'):rep(1000000) local t = {} for i = 1, 1000 do t[i] = s end print(table.unpack(t))}",
        "%{lua: local s = ('a'):rep(1000000) local t = {} for i = 1, 1000 do t[i] = s end io.write(table.unpack(t))}",
        "%{lua: string.find(('a'):rep(1000000), '[' .. ('b'):rep(1000000) .. ']')}",
        "%{lua: local n = 0 local u = setmetatable({}, { __len = function() n = n + 1 return n == 1 and 0 or 1 << 60 end }) table.insert(u, 1, 5)}",
        "%{lua: local a, b = ('x'):rep(2000000) .. 'a', ('x'):rep(2000000) .. 'b' local t = {} for i = 1, 50000 do t[i] = i % 2 == 0 and a or b end table.sort(t)}",
        "%{lua: while true do posix.setenv('A', ('x'):rep(100000)) end}",
        "%{lua: while true do rpm.define('a ' .. ('x'):rep(100000)) end}",
        "%{lua: table.insert(setmetatable({}, { __len = function() return 1e15 end }), 1, 1)}",
        "%{lua: table.sort(setmetatable({}, { __len = function() return 1 << 30 end }))}",
        "%define s aaaaaaaaaaaaaaaa\n%define t %[\"%s\"+\"%s\"+\"%s\"+\"%s\"]\n%{lua: for i = 1, 1e9 do rpm.expand('%t') end}",
    ] {
        let table = Engine::builtins(Behaviour::Rpm420);
        let mut engine = Engine::new(table, Behaviour::Rpm420, Arc::new(Nowhere), small);
        let started = Instant::now();
        assert_eq!(engine.expand(text), Err(Failed), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5), "{text}");
    }
    assert_eq!(
        engine(Behaviour::Rpm420)
            .expand("%{lua: print(#string.rep('', 1e15))}")
            .as_deref(),
        Ok("0")
    );
    for pattern in [
        "('{a,b}'):rep(32)",
        "('{a}'):rep(20000)",
        "('['):rep(100000)",
        "string.char(123):rep(1000)",
    ] {
        let started = Instant::now();
        let mut engine = engine(Behaviour::Rpm420);
        assert_eq!(
            engine
                .expand(&format!("%{{lua: rpm.glob({pattern})}}"))
                .as_deref(),
            Ok("")
        );
        assert!(started.elapsed() < Duration::from_secs(5), "{pattern}");
    }
    let mut deep = engine(Behaviour::Rpm420);
    let brackets = format!("%[{}1", "(".repeat(1_000_000));
    assert_eq!(deep.expand(&(brackets + "]")), Err(Failed));
    let braces = "%{?a:".repeat(100_000) + &"}".repeat(100_000);
    assert_eq!(deep.expand(&braces).as_deref(), Ok(""));
    let signs = format!("%[{}1]", "-".repeat(1_000_000));
    assert_eq!(deep.expand(&signs), Err(Failed));
}

#[test]
fn lua_has_no_way_out() {
    for script in [
        "os.execute('true')",
        "io.open('/etc/passwd'):read()",
        "io.popen('id').x.y = 1",
        "os.remove('/x').x = 1",
        "os.exit(1)",
        "posix.fork()",
        "posix.exec('/bin/sh')",
        "rpm.spawn({'true'})",
        "require('nothing')",
        "load('\\27Lua')()",
        "string.dump(print)",
        "debug.getregistry()",
        "dofile('/etc/passwd')",
        "package.loadlib('a', 'b')",
        // Not even when memory ends while `os` is made.
        "local t, n = {}, 1 while pcall(function() t[n] = ('x'):rep(1000 + n) end) do n = n + 1 end \
         for i = 1, 200 do pcall(function() return io end) if os and os.execute then os.execute('true') end t[n - i] = nil end \
         os.execute('true')",
    ] {
        let mut engine = engine(Behaviour::Rpm420);
        let got = engine.expand(&format!("%{{lua: {script}}}"));
        assert_eq!(got, Err(Failed), "{script}");
    }
}

/// Every case once more, by the judge.
#[test]
fn the_real_rpm_agrees() {
    let mut wrong = Vec::new();
    for (text, expected) in CASES {
        // What depends on the world is the world's.
        if text.contains("exists:") || text.contains("HOME") || text.contains("%(") {
            continue;
        }
        let output = Command::new("rpm").args(["-E", text]).output();
        let output = output.expect("this test needs rpm: apt-get install rpm");
        let got = text::decode(&output.stdout).replace('\x1f', "");
        if got.trim_end_matches('\n') != expected.trim_end_matches('\n') {
            wrong.push(format!("{text}: rpm says {got:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lua_knows_utc() {
    let mut engine = engine(Behaviour::Rpm418);
    let mut ask = |text: &str| engine.expand(&format!("%{{lua:print({text})}}")).unwrap();
    assert_eq!(ask("os.date('%F %T %Z', 0)"), "1970-01-01 00:00:00 GMT");
    assert_eq!(ask("os.date('*t', 86399).hour"), "23");
    // Of `date -u -d … +%s`; what goes beyond a month or a day counts on.
    for (fields, seconds) in [
        ("year=1970,month=1,day=1,hour=0", "0"),
        ("year=2000,month=3,day=1", "951912000"),
        ("year=2020,month=2,day=29,hour=23,min=59,sec=60", "1583020800"),
        ("year=2020,month=14,day=-3,hour=0", "1611792000"),
        ("year=1969,month=12,day=31,hour=23", "-3600"),
    ] {
        assert_eq!(ask(&format!("os.time{{{fields}}}")), seconds, "{fields}");
    }
    assert!(engine.expand("%{lua:os.time{year=1}}").is_err());
}
