//! What scripts can do, what they cannot, and how they end.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Failure, Machine};

/// Runs a script with open libraries; what it returns, written as Lua writes it.
fn run(machine: &Machine, script: &str, object: &Value) -> Result<String, Failure> {
    let script = machine.compile(script)?;
    machine.run(&script, true, object, |returned| match returned {
        mlua::Value::Nil => "nil".to_owned(),
        value => value.to_string().unwrap_or_default(),
    })
}

#[track_caller]
fn check(script: &str, expected: &str) {
    let object = json!({
        "metadata": {"name": "web", "labels": {}, "generation": 3},
        "spec": {"replicas": 2, "ratio": 0.5, "paused": false, "nothing": null},
        "status": {"list": ["a", "b", "c"], "empty": [], "big": 1_732_561_234_567_i64},
    });
    let machine = Machine::new().expect("a machine");
    assert_eq!(run(&machine, script, &object).as_deref(), Ok(expected), "{script}");
}

#[rstest]
#[case("return obj.metadata.name", "web")]
#[case("return obj.spec.replicas + 1", "3")]
#[case("return tostring(obj.spec.replicas) .. obj.spec.ratio", "20.5")]
#[case("return tostring(obj.status.big)", "1732561234567")]
#[case("return tostring(obj.spec.nothing) .. tostring(obj.spec.paused)", "nilfalse")]
#[case("return #obj.status.list .. table.getn(obj.status.list) .. #obj.status.empty", "330")]
#[case("local s = '' for i, v in ipairs(obj.status.list) do s = s .. i .. v end return s", "1a2b3c")]
#[case("local n = 0 for k in pairs(obj.status) do n = n + 1 end return n", "3")]
#[case("return next(obj.metadata.labels) == nil and next(obj.status.empty) == nil", "true")]
#[case("return select('#', unpack(obj.status.list)) .. select(2, unpack(obj.status.list))", "3b")]
#[case("return math.pow(2, 3) .. math.floor(2.5) .. 7 % 4", "823")]
#[case(
    "table.insert(obj.status.list, 'd') table.insert(obj.status.list, 1, 'z') return table.concat(obj.status.list, ',')",
    "z,a,b,c,d"
)]
#[case("return table.remove(obj.status.list, 1) .. table.remove(obj.status.list)", "ac")]
#[case(
    "table.sort(obj.status.list, function(a, b) return a > b end) return table.concat(obj.status.list)",
    "cba"
)]
#[case("return type(os.time()) .. type(os.date('%Y')) .. type(require('os').time)", "numberstringfunction")]
#[case(
    "local ok, why = pcall(function() return obj.a.b end) return tostring(ok) .. type(why)",
    "falsestring"
)]
#[case("local ok, why = pcall(error, 'so') return why", "so")]
#[case(
    "return select(2, xpcall(function() error('so') end, function(e) return 'caught ' .. e end)):sub(1, 6)",
    "caught"
)]
#[case("if obj.status ~= nil and obj.status.conditions then return 1 end return 2", "2")]
#[case("x = 1 return _G.x", "1")]
#[case("return string.format('%s has %d of %5.1f', 'web', 2, 0.25)", "web has 2 of   0.2")]
#[case("return ('ab'):rep(3):upper():reverse():len()", "6")]
fn scripts_of_lua_5_1_run(#[case] script: &str, #[case] expected: &str) {
    check(script, expected);
}

/// What the real Lua 5.1 gives for each.
#[rstest]
#[case("return table.concat({string.find('hello world', 'o w')}, ',')", "5,7")]
#[case("return table.concat({string.find('hello', 'l+', 1)}, ',')", "3,4")]
#[case("return table.concat({string.find('key=value', '(%w+)=(%w+)')}, ',')", "1,9,key,value")]
#[case("return string.find('a.b', '.', 1, true)", "2")]
#[case("return table.concat({('a+b'):find('+', 1, true)}, ',')", "2,2")]
#[case("return tostring(string.find('abc', 'x'))", "nil")]
#[case("return table.concat({string.find('abc', 'b', -1)}, ',')", "")]
#[case("return table.concat({string.find('abc', '', 10)}, ',')", "4,3")]
#[case("return string.match('v1.23.4', '^v(%d+)%.(%d+)')", "1")]
#[case("return select(2, string.match('v1.23.4', '^v(%d+)%.(%d+)'))", "23")]
#[case("return string.match('  trim me ', '^%s*(.-)%s*$')", "trim me")]
#[case("return string.match('abc', '()c')", "3")]
#[case("return string.match('a]b', '[]]')", "]")]
#[case("return string.match('a-b', '[a%-]+')", "a-")]
#[case("return string.match('x^y', '[x^]+')", "x^")]
#[case("return string.match('abc123', '[^%d]+')", "abc")]
#[case("return string.match('abc123', '%D+')", "abc")]
#[case("return tostring(string.match('line\\nbreak', 'e.b'))", "e\nb")]
#[case("return string.match('$5', '$%d')", "$5")]
#[case("return tostring(string.match('abc', 'a$'))", "nil")]
#[case(
    "local s = '' for k, v in string.gmatch('a=1, b=2', '(%w+)=(%w+)') do s = s .. k .. v end return s",
    "a1b2"
)]
#[case("local s = '' for w in ('one two'):gmatch('%a+') do s = s .. w .. ';' end return s", "one;two;")]
#[case("local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n", "4")]
#[case("return (string.gsub('hello', 'l', 'L'))", "heLLo")]
#[case("return select(2, string.gsub('hello', 'l', 'L'))", "2")]
#[case("return (string.gsub('hello', 'l', 'L', 1))", "heLlo")]
#[case("return (string.gsub('hello world', '(%w+)', '<%1>'))", "<hello> <world>")]
#[case("return (string.gsub('abc', '%w', '%0%0'))", "aabbcc")]
#[case("return (string.gsub('$name', '%$(%w+)', {name = 'web'}))", "web")]
#[case("return (string.gsub('a b', '%w', function(l) return l:upper() end))", "A B")]
#[case("return (string.gsub('abc', '', '-'))", "-a-b-c-")]
#[case("return (string.gsub('aaa', '^a', 'b'))", "baa")]
#[case("return (string.gsub('100%', '%%', ' percent'))", "100 percent")]
fn patterns_are_lua_s_own(#[case] script: &str, #[case] expected: &str) {
    check(script, expected);
}

#[rstest]
#[case::files("return io.open('/etc/passwd')")]
#[case::processes("return os.execute('true')")]
#[case::environment("return os.getenv('HOME')")]
#[case::removal("return os.remove('/tmp/x')")]
#[case::modules("return require('io')")]
#[case::packages("return package.loadlib('x', 'y')")]
#[case::code("return loadstring('return 1')()")]
#[case::more_code("return load(function() return nil end)()")]
#[case::code_files("return dofile('/etc/passwd')")]
#[case::debug("return debug.getregistry()")]
#[case::coroutines("return coroutine.create(print)")]
#[case::environments("return getfenv(0)")]
#[case::other_environments("return setfenv(1, {})")]
#[case::collector("return collectgarbage('stop')")]
#[case::userdata("return newproxy(true)")]
#[case::bytecode("return string.dump(function() end)")]
#[case::string_methods("getmetatable('').__index.find = nil")]
fn there_is_no_way_out(#[case] script: &str) {
    let machine = Machine::new().expect("a machine");
    let ended = run(&machine, script, &json!({}));
    assert!(matches!(ended, Err(Failure::Script(_))), "{script} gave {ended:?}");
}

#[test]
fn bytecode_is_refused() {
    let machine = Machine::new().expect("a machine");
    let compiled = machine.compile("\u{1b}Lua\u{51}");
    assert!(matches!(compiled, Err(Failure::Script(_))), "{:?}", compiled.err());
}

#[test]
fn closed_libraries_stay_closed() {
    let machine = Machine::new().expect("a machine");
    for name in ["string", "math", "os.clock", "io"] {
        let script = machine.compile(&format!("return {name} == nil")).expect("a script");
        let is_closed = machine.run(&script, false, &json!({}), |returned| returned.as_boolean());
        assert_eq!(is_closed, Ok(Some(true)), "{name}");
    }
}

#[test]
fn a_run_leaves_nothing_for_the_next() {
    let machine = Machine::new().expect("a machine");
    let meddle = "seen = (seen or 0) + 1 table.concat = nil string.len = nil _G.ipairs = nil return seen";
    let script = machine.compile(meddle).expect("a script");
    for _ in 0..3 {
        let seen = machine.run(&script, true, &json!({}), |returned| returned.as_i64());
        assert_eq!(seen, Ok(Some(1)));
    }
    assert_eq!(run(&machine, "return #table.concat({'a'}) + ('b'):len()", &json!({})).as_deref(), Ok("2"));
}

#[rstest]
#[case::loops("while true do end", Failure::Time)]
#[case::catches("while true do pcall(function() while true do end end) end", Failure::Time)]
#[case::catches_with_a_handler(
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    Failure::Time
)]
#[case::loops_in_a_callback("table.sort({1, 2, 3}, function() while true do end end)", Failure::Time)]
#[case::loops_in_a_metamethod(
    "return setmetatable({}, {__index = function() while true do end end}).x",
    Failure::Time
)]
#[case::loops_in_a_replacement("return ('a'):gsub('a', function() while true do end end)", Failure::Time)]
#[case::searches("while true do string.find(('a'):rep(100000), '.-.-.-.-b') end", Failure::Time)]
#[case::inserts("while true do pcall(table.insert, {}, -2147483648, 1) end", Failure::Time)]
#[case::fills("while true do local s = ('x'):rep(4000000) end", Failure::Time)]
#[case::joins(
    "local t = {} for i = 1, 20000 do t[i] = ('a'):rep(100) end while true do table.concat(t) end",
    Failure::Time
)]
#[case::collects("local t = {} while true do t[#t + 1] = {} end", Failure::Time)]
#[case::grows("local s = 'x' while true do s = s .. s end", Failure::Memory)]
#[case::loops_in_an_error(
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    Failure::Time
)]
#[case::hoards("local t = {} for i = 1, 100 do t[i] = ('x'):rep(1000000) .. i end", Failure::Memory)]
fn what_has_no_end_is_ended(#[case] script: &str, #[case] expected: Failure) {
    let machine = Machine::new().expect("a machine");
    let ended = run(&machine, script, &json!({}));
    let ended_as_expected =
        ended.as_ref().is_err_and(|failure| *failure == expected || failure.is_exhausting());
    assert!(ended_as_expected, "{script} gave {ended:?}");
}

#[rstest]
#[case("return ('x'):rep(1e12)", "too large")]
#[case("return ('x'):rep(-1)", "")]
#[case("table.insert({}, -2147483648, 1)", "position out of bounds")]
#[case("local function f() return 1 + f() end return f()", "stack overflow")]
#[case("return obj.a.b", "script:1: attempt to index field 'a' (a nil value)")]
#[case("x = = 1", "script:1: unexpected symbol near '='")]
#[case("error('no luck')", "script:1: no luck")]
#[case("error({})", "table")]
#[case("error(setmetatable({}, {__tostring = function() error('no') end}))", "script:1: no")]
#[case("error()", "nil")]
#[case("local ok, why = pcall(error, {}) error(why)", "script:1: table")]
#[case("return string.find('a', '[a')", "malformed pattern (missing ']')")]
#[case("return string.find('a', '(a')", "unfinished capture")]
#[case("return string.find('a', '%f[a]')", "%f in patterns is not available to scripts")]
fn errors_are_one_line_that_says_where(#[case] script: &str, #[case] words: &str) {
    let machine = Machine::new().expect("a machine");
    match run(&machine, script, &json!({})) {
        Err(Failure::Script(message)) => {
            assert!(
                message.contains(words) && !message.contains('\n') && !message.contains("0x"),
                "{message}"
            );
        }
        other => assert_eq!(other.as_deref(), Ok(words)),
    }
}

#[test]
fn calls_without_end_are_ended_before_the_stack_is() {
    let scripts = [
        "local function f() return pcall(f) end return f()",
        "local function f() return xpcall(f, tostring) end return f()",
        "local function f() return (('a'):gsub('a', f)) end return f()",
        "local function f() table.sort({1, 2}, f) end return f()",
        "local t = {} setmetatable(t, {__index = function(t, k) return t[k .. 'x'] end}) return t.a",
        "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) return tostring(t)",
        "local f f = function() return f() + 1 end return f()",
        "local function f(...) return f(1, ...) end return f()",
        "local function f() for k in ('a'):gmatch('a') do f() end end return f()",
    ];
    for script in scripts {
        let machine = Machine::new().expect("a machine");
        // It may also fail so deep below that the script itself never learns of it.
        let ended = run(&machine, script, &json!({}));
        assert!(ended.as_ref().map_or(true, |returned| returned.len() < 100), "{script} gave {ended:?}");
    }
}

#[test]
fn searches_hold_no_copies_of_what_they_search() {
    let machine = Machine::new().expect("a machine");
    let hoard = "local t = {} for i = 1, 100 do t[i] = (('x'):rep(1000000) .. i):gmatch('y') end";
    assert_eq!(run(&machine, hoard, &json!({})), Err(Failure::Memory));
}

#[test]
fn an_error_without_end_is_cut() {
    let machine = Machine::new().expect("a machine");
    let ended = run(&machine, "error(('x'):rep(1000000))", &json!({}));
    assert!(matches!(&ended, Err(Failure::Script(message)) if message.len() == 512), "{ended:?}");
}

#[test]
fn a_large_object_is_judged() {
    let machine = Machine::new().expect("a machine");
    let items: Vec<_> =
        (0..10_000).map(|place| json!({"name": format!("item-{place}"), "ready": true})).collect();
    let object = json!({"status": {"items": items}});
    let script = "local n = 0 for _, item in ipairs(obj.status.items) do if item.ready then n = n + 1 end end return n";
    assert!(!machine.is_worn());
    assert_eq!(run(&machine, script, &object).as_deref(), Ok("10000"));
    assert!(machine.is_worn(), "{} bytes", machine.lua.used_memory());
}

/// Words of Lua in any order: most are nonsense, some loop, allocate or recurse.
fn nonsense() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "while true do ",
        "end ",
        "local a = ",
        "a ",
        "b ",
        "= ",
        "1 ",
        "'x' ",
        "{} ",
        "( ",
        ") ",
        "function f() ",
        "return ",
        "f() ",
        "if ",
        "then ",
        "else ",
        "for i = 1, 1e9 do ",
        ".. ",
        "+ ",
        "# ",
        "nil ",
        "obj ",
        ".status ",
        "[1] ",
        "string.rep('x', 1e6) ",
        "pcall(f) ",
        "('a'):gsub('a*', f) ",
        "table.insert(a, ",
        ", ",
        "\n",
        "setmetatable(a, a) ",
        "error(a) ",
        "string.find(a, '%w-.-') ",
        "table.concat(a) ",
        "unpack(a) ",
        "xpcall(f, f) ",
        "table.sort(a, f) ",
        "a[#a + 1] = ",
        "string.rep('y', 4e6) ",
        "function(...) ",
        "string.gsub(a, '.', f) ",
        "tostring(a) ",
        "; ",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_the_script_it_ends_and_the_machine_lives(script in prop_oneof![nonsense(), any::<String>()]) {
        let machine = Machine::new().expect("a machine");
        let ended = run(&machine, &script, &json!({"status": {"a": [1, {"b": null}]}}));
        if !ended.is_err_and(|failure| failure.is_exhausting()) {
            let next = run(&machine, "return 1 + 1", &json!({}));
            prop_assert_eq!(next.as_deref(), Ok("2"));
        }
    }

    #[test]
    fn whatever_the_pattern_it_is_searched_for_or_refused(pattern in "[%a-z()\\[\\].*+?^$-]{0,12}", text in ".{0,200}") {
        let machine = Machine::new().expect("a machine");
        let script = "return tostring(pcall(function() return (obj.t:gsub(obj.p, 'x')) .. (obj.t:match(obj.p) or '') end))";
        let ended = run(&machine, script, &json!({"t": text, "p": pattern}));
        prop_assert!(ended.is_ok());
    }
}
