//! Names fold here as they did in the Python programs whose users move in: else one of two colliding users
//! would be found under the other's name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod names;

use std::collections::HashMap;

use chatstore_model::UserName;
use icu_casemap::CaseMapper;

/// What Python makes of every character; made by `python.py`.
const PYTHON: &str = include_str!("python.txt");

/// The characters that Python knows, each with its case folding and with the key of a name of it alone.
fn characters() -> impl Iterator<Item = (char, String, String)> {
    let lines = || PYTHON.lines().filter(|line| !line.starts_with('#'));
    let changed: HashMap<char, (String, String)> = lines()
        .filter(|line| line.contains(';'))
        .map(|line| {
            let [code, folded, key] = line.splitn(3, ';').collect::<Vec<_>>().try_into().unwrap();
            (character(code), (text(folded), text(key)))
        })
        .collect();
    let assigned = lines().filter_map(|line| line.split_once("..")).flat_map(|(first, last)| {
        let (first, last) = (character(first), character(last));
        first..=last
    });
    assigned.map(move |character| {
        let unchanged = || (character.to_string(), character.to_string());
        let (folded, key) = changed.get(&character).cloned().unwrap_or_else(unchanged);
        (character, folded, key)
    })
}

fn text(codes: &str) -> String {
    codes.split_whitespace().map(character).collect()
}

fn character(code: &str) -> char {
    u32::from_str_radix(code, 16).ok().and_then(char::from_u32).unwrap()
}

#[test]
fn every_character_folds_as_in_python() {
    let mapper = CaseMapper::new();
    let mut count = 0;
    for (character, folded, _) in characters() {
        assert_eq!(mapper.fold_string(&character.to_string()), folded, "U+{:04X}", u32::from(character));
        count += 1;
    }
    assert!(count > 280_000, "{count}");
}

#[test]
fn every_character_has_the_key_it_has_in_python() {
    for (character, _, key) in characters() {
        assert_eq!(UserName::key_of(&character.to_string()), key, "U+{:04X}", u32::from(character));
    }
}
