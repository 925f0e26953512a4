//! What holds for any rule and any object: nothing panics, and all ends, for jq runs on fuel. What takes long would hold up
//! this very test.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{metered, *};

fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,9}".prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let fields = vec(
            (
                "(a|b|name|spec|status|metadata|managedFields|manager|fieldsV1|f:a|k:\\{\"name\":\"a\"\\})",
                inner.clone(),
            ),
            0..6,
        );
        prop_oneof![
            fields.prop_map(|fields| fields.into_iter().collect()),
            vec(inner, 0..6).prop_map(Value::from)
        ]
    })
}

/// Words of jq in any order.
fn expression() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        ".",
        "..",
        ".a",
        ".b?",
        ".name",
        ".spec",
        "[]",
        "[0]",
        "[-1]",
        "[1:]",
        "[.[]]",
        "|",
        ",",
        "(",
        ")",
        "{",
        "}",
        "select",
        "(.a)",
        "as $x |",
        "$x",
        "==",
        "+",
        "*",
        "-",
        "/",
        "%",
        "//",
        "and",
        "not",
        "if . then . else . end",
        "\"a\"",
        "\"\\(.)\"",
        "1",
        "1e99",
        "99999999999999999999",
        "test(\"a+\")",
        "contains(\"a\")",
        "has(\"a\")",
        "length",
        "path(..)",
        "getpath([\"a\",0])",
        "to_entries",
        "try",
        "label $o |",
        "break $o",
        "limit(3; ..)",
        "first(..)",
        "recurse",
        "any",
        "tostring",
        "split(\"a\")",
        "keys",
        "sort",
        "join(\",\")",
        "?",
        "empty",
        "|=",
        "reduce",
    ]);
    vec(words, 1..12).prop_map(|words| words.join(" "))
}

fn try_it(rule: IgnoreDifference, wanted: &Value, live: &Value) {
    let key = ObjectKey::new("", "ConfigMap", "shop", "a");
    let rule = IgnoreDifference { kind: "*".to_owned(), group: "*".to_owned(), ..rule };
    let ignored = Ignored::compile(&[rule], &[], false).expect("a rule");
    let _ = ignored.without(&key, wanted, live, true);
    let _ = ignored.respected(&key, wanted, live);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn any_expression_on_any_object(text in expression(), wanted in object(), live in object()) {
        try_it(IgnoreDifference { jq_path_expressions: vec![text], ..Default::default() }, &wanted, &live);
    }

    #[test]
    fn any_text_as_an_expression(text in "\\PC{0,40}", live in object()) {
        try_it(IgnoreDifference { jq_path_expressions: vec![text], ..Default::default() }, &live, &live);
    }

    #[test]
    fn any_text_as_a_pointer(text in "(/[a-z~01-]{0,4}){0,5}|\\PC{0,12}", wanted in object(), live in object()) {
        try_it(IgnoreDifference { json_pointers: vec![text], ..Default::default() }, &wanted, &live);
    }

    #[test]
    fn any_manager_of_any_fields(wanted in object(), fields in object()) {
        let mut live = wanted.clone();
        if live.is_object() {
            live["metadata"] = json!({"managedFields": [{"manager": "a", "fieldsV1": fields}]});
        }
        try_it(IgnoreDifference { managed_fields_managers: vec!["a".to_owned()], ..Default::default() }, &wanted, &live);
    }

    #[test]
    fn any_glob(group in "\\PC{0,9}", kind in "[*?\\[\\]{},!a-c^-]{0,9}") {
        let rule = IgnoreDifference { group, kind, ..Default::default() };
        let ignored = Ignored::compile(&[rule], &[], false).expect("a rule");
        ignored.concerns(&ObjectKey::new("", "ConfigMap", "shop", "a"));
    }
}

/// Each is deep, wide or endless in its own way. The stack is that of a thread of the runtime.
#[test]
fn the_worst_expressions_end_soon() {
    let wide: Vec<Value> =
        (0..2_000).map(|place| json!({"name": place, "a": {"b": [place, "x".repeat(50)]}})).collect();
    let wide = json!({"spec": wide});
    let worst = [
        "(".repeat(1_000),
        "[".repeat(500) + &"]".repeat(500),
        "-".repeat(1_000) + "1",
        "-".repeat(149) + "1",
        "try ".repeat(250) + ".",
        "try ".repeat(149) + ".",
        ".|".repeat(500) + ".",
        ".|".repeat(74) + ".",
        ".a".repeat(500),
        "if . then ".repeat(30) + "." + &" end".repeat(30),
        "..|".repeat(300) + "..",
        "..|".repeat(74) + "..",
        ".spec[]|".to_owned() + &"(.,.)|".repeat(8) + "empty",
        ".spec|".to_owned() + &"[.[],.[]]|".repeat(8) + ".[]",
        "\"xxxxxxxxxxxxxxxx\"|".to_owned() + &". + .|".repeat(36) + "empty",
        "\"xxxxxxxxxxxxxxxx\" * 1000000000".to_owned(),
        "9999999999999|".to_owned() + &". * .|".repeat(36) + "empty",
        ".spec|".to_owned() + &"tostring|".repeat(70) + "empty",
        ".spec[]|select(.a.b[1]|test(\"(x+x+)+y\"))".to_owned(),
        ".spec[]|select(.a.b[1]|test(\"\\\\w{900}{900}\"))".to_owned(),
        ".spec[]|select(.name|tostring|test(.))".to_owned(),
        "limit(1000000000000; .spec[], .spec[])".to_owned(),
        "skip(1000000000000; ..,..,..)".to_owned(),
        ".spec|sort|reverse|contains(.)".to_owned(),
        "..==..".to_owned(),
        "label $a|".repeat(49) + "..",
        ". as $a|".repeat(37) + "..",
        "{a:..}|{a:..}|{a:..}|{a:..}".to_owned(),
    ];
    let asked = worst.iter().map(|text| format!("select({text})")).collect::<Vec<_>>();
    for text in worst.into_iter().chain(asked) {
        let object = wide.clone();
        let name: String = text.chars().take(40).collect();
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            try_it(
                IgnoreDifference { jq_path_expressions: vec![text], ..Default::default() },
                &object,
                &object,
            );
        });
        assert!(thread.expect("a thread").join().is_ok(), "{name}");
    }
}

/// Ten thousand fields, as a big CustomResourceDefinition has them.
#[test]
fn a_big_object_is_no_trouble() {
    let fields: Vec<Value> = (0..5_000).map(|place| json!({"image": place})).collect();
    let big = json!({"metadata": {"name": "a"}, "spec": fields});
    let rule = IgnoreDifference {
        group: "*".to_owned(),
        kind: "*".to_owned(),
        jq_path_expressions: vec!["..|.image?".to_owned(), ".spec[7].image".to_owned()],
        ..Default::default()
    };
    let ignored = Ignored::compile(&[rule], &[], false).expect("a rule");
    let rest = ignored.without(&ObjectKey::new("", "ConfigMap", "shop", "a"), &big, &big, true);
    assert_eq!(ignored.fault(), None);
    assert_eq!(rest, Some(json!({"metadata": {"name": "a"}})));
}

#[test]
fn fuel_is_fresh_for_each_run() {
    assert!(!metered::run(|| metered::spend(usize::MAX)));
    assert!(metered::run(|| metered::spend(1)));
}
