//! The ways in which one name is typed.

use std::collections::HashMap;

use chatstore_model::UserName;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use proptest::prelude::*;

use super::characters;

/// Letters of several scripts, at least ten of each.
const SCRIPTS: [&str; 20] = [
    "abcdefghijklmnopqrstuvwxyz",
    "áčďéěíňóřšťúůýž",
    "ạảấầẩẫậắằẳẵặẹẻẽếềểễệ",
    "αάβγδεζηθιΐκλμνξοπρστυΰφχψωώ",
    "ᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾠᾡᾢᾣ",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "աբգդեզէըթժիլխծկհձղճմ",
    "აბგდევზთიკლმნოპჟრსტ",
    "ꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻ",
    "𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲",
    "𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "कखगघङचछजझञटठडढणक़ख़ग़",
    "กขคงจฉชซฌญฎฏฐ",
    "가각간감나난다달라말바발사살아일자찰카탈",
    "あいうえおがぎぐげござじずぜぞぱぴぷ",
    "アイウエオガギグゲゴザジズゼゾパピプ",
    "知書好明春雪山川田中村林",
    "ꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕ",
];

/// Ten names in each script, each beginning with another letter.
fn names() -> Vec<String> {
    let name = |letters: &[char], number: usize| {
        (0..5).map(|place| letters[(number + place * (number + 3)) % letters.len()]).collect()
    };
    let scripts = SCRIPTS.map(|script| script.chars().collect::<Vec<char>>());
    scripts.iter().flat_map(|letters| (0..10).map(|number| name(letters, number))).collect()
}

fn full_width(name: &str) -> String {
    let widen = |letter: char| match letter {
        '!'..='~' => char::from_u32(u32::from(letter) + 0xfee0).unwrap(),
        other => other,
    };
    name.chars().map(widen).collect()
}

/// Katakana as narrow letters with the voice mark after them.
fn half_width(name: &str) -> String {
    let wide: Vec<char> = "アイウエオカキクケコサシスセソハヒフヘホ\u{3099}\u{309a}".chars().collect();
    let narrow: Vec<char> = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾊﾋﾌﾍﾎﾞﾟ".chars().collect();
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(name).into_owned();
    let shrink = |letter: char| wide.iter().position(|known| *known == letter).map(|place| narrow[place]);
    decomposed.chars().map(|letter| shrink(letter).unwrap_or(letter)).collect()
}

fn twins(name: &str) -> Vec<String> {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(name).into_owned();
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(name).into_owned();
    vec![
        name.to_uppercase(),
        name.to_lowercase(),
        decomposed.to_uppercase(),
        composed,
        decomposed,
        DecomposingNormalizerBorrowed::new_nfkd().normalize(name).into_owned(),
        full_width(name),
        full_width(&name.to_uppercase()),
        half_width(name),
        format!("\u{3000} {name}\u{1c}\t"),
    ]
}

#[test]
fn case_width_and_composition_twins_of_200_names_have_one_key_each() {
    let names = names();
    let mut owners: HashMap<String, &str> = HashMap::new();
    for name in &names {
        let key = UserName::key_of(name);
        for twin in twins(name) {
            assert_eq!(UserName::key_of(&twin), key, "{name} {twin}");
        }
        assert_eq!(owners.insert(key, name), None, "{name}");
    }
    assert_eq!(owners.len(), 200);
    assert!(names.iter().filter(|name| twins(name).iter().any(|twin| twin != *name)).count() == 200);
}

/// Some white space appears only by NFKC, which makes of `¨` a blank and a mark. To strip it, too, would
/// give another key than the programs gave that users come from.
fn ends_in_white_space(key: &str) -> bool {
    key.starts_with(char::is_whitespace) || key.ends_with(char::is_whitespace)
}

#[test]
fn a_key_is_its_own_key_for_every_character_but_those_that_become_a_blank() {
    let mut blank = 0;
    for (character, _, key) in characters() {
        if ends_in_white_space(&key) {
            blank += 1;
        } else {
            assert_eq!(UserName::key_of(&key), key, "U+{:04X}", u32::from(character));
        }
    }
    assert!((1..100).contains(&blank), "{blank}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn a_key_is_its_own_key_unless_it_ends_in_white_space(
        name in prop_oneof![
            any::<String>(),
            "[\\p{Greek}\\p{M}ıİſßŉǰᾳͅΣς]{1,8}",
            "[\\p{Hangul}\\p{Cherokee}\\p{Georgian}\\p{M}]{1,8}",
        ],
    ) {
        let key = UserName::key_of(&name);
        if !ends_in_white_space(&key) {
            prop_assert_eq!(UserName::key_of(&key), key);
        }
    }
}
