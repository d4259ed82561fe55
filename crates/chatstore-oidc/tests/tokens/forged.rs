//! Tokens that must not be believed, each named by what is wrong with it.

use chatstore_testkit::provider::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, NOW, Scene};

/// The base 64 of a text without padding.
fn encode(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            encoded.push(DIGITS[(bits >> (18 - 6 * place) & 63) as usize] as char);
        }
    }
    encoded
}

#[tokio::test]
async fn every_token_with_a_forged_claim_is_refused() {
    let scene = Scene::new();
    let claims = scene.provider.claims("7", AUDIENCE, NOW);
    assert!(scene.is_accepted(&scene.key.token(&claims)).await);
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(!scene.is_accepted(&scene.key.token(&without)).await, "without {name}");
        for value in [json!(null), json!(true), json!({}), json!([]), json!([[AUDIENCE]])] {
            let forged = changed(name, value);
            assert!(!scene.is_accepted(&scene.key.token(&forged)).await, "{forged}");
        }
    }
    let issuer = scene.provider.issuer();
    for (name, value) in [
        ("iss", json!(format!("{issuer}/"))),
        ("iss", json!(issuer.to_uppercase())),
        ("iss", json!("https://id.example.org")),
        ("iss", json!("chatstore")),
        ("iss", json!([issuer])),
        ("aud", json!("account")),
        ("aud", json!("Chatstore")),
        ("aud", json!("chatstore ")),
        ("aud", json!("chatstore,account")),
        ("aud", json!(["account", 7, AUDIENCE])),
        ("sub", json!("")),
        ("sub", json!("a\0b")),
        ("sub", json!("a\nb")),
        ("sub", json!("é")),
        ("sub", json!("a".repeat(256))),
        ("sub", json!(7)),
        ("exp", json!(NOW - 31)),
        ("exp", json!((NOW + 300).to_string())),
        ("exp", json!(1e300)),
        ("iat", json!(NOW + 31)),
        ("iat", json!(NOW.to_string())),
        ("nbf", json!(NOW + 31)),
        ("nbf", json!(NOW.to_string())),
        ("nbf", json!(null)),
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
    ] {
        let forged = changed(name, value);
        assert!(!scene.is_accepted(&scene.key.token(&forged)).await, "{forged}");
    }
    let twice = claims.to_string().replacen('{', r#"{"sub":"root","#, 1);
    assert!(!scene.is_accepted(&scene.key.sign(&scene.key.header().to_string(), &twice)).await);
}

#[tokio::test]
async fn every_token_with_a_forged_header_is_refused() {
    let scene = Scene::with(SigningKey::rs256("a", 0));
    let claims = scene.provider.claims("7", AUDIENCE, NOW).to_string();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS384")),
        ("alg", json!("RS512")),
        ("alg", json!("PS256")),
        ("alg", json!("ES256")),
        ("alg", json!("EdDSA")),
        ("alg", json!("rs256")),
        ("alg", json!(["RS256"])),
        ("alg", json!(null)),
        ("kid", json!("b")),
        ("kid", json!("A")),
        ("kid", json!("../a")),
        ("typ", json!("id+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("JWT ")),
        ("typ", json!(null)),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
    ] {
        let mut header = scene.key.header();
        header[name] = value;
        let token = scene.key.sign(&header.to_string(), &claims);
        assert!(!scene.is_accepted(&token).await, "{header}");
    }
    let twice = scene.key.header().to_string().replacen('{', r#"{"alg":"none","#, 1);
    assert!(!scene.is_accepted(&scene.key.sign(&twice, &claims)).await);
}

#[tokio::test]
async fn a_token_without_the_providers_signature_is_refused() {
    let scene = Scene::with(SigningKey::rs256("a", 0));
    let claims = scene.provider.claims("7", AUDIENCE, NOW);
    let token = scene.key.token(&claims);
    assert!(scene.is_accepted(&token).await);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let of_other_key = SigningKey::rs256("a", 1).token(&claims);
    assert!(!scene.is_accepted(&of_other_key).await);
    let unsigned = encode(&json!({ "alg": "none", "typ": "at+jwt" }).to_string());
    for forged in [
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", of_other_key.rsplit_once('.').unwrap().1),
        format!("{unsigned}.{}.", encode(&claims.to_string())),
        format!("{unsigned}.{}.{signature}", encode(&claims.to_string())),
        format!("{token}="),
        format!("{token}.{signature}"),
        format!("{}{token}", " "),
        format!("{token}\n"),
        token.replace('.', ".."),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "é.é.é".to_owned(),
    ] {
        assert!(!scene.is_accepted(&forged).await, "{forged}");
    }
}

/// The classic attack: the public key, which is no secret, as the secret of an HMAC.
#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let scene = Scene::with(SigningKey::rs256("a", 0));
    let public = scene.key.public();
    let header = json!({ "alg": "HS256", "kid": "a", "typ": "at+jwt" });
    let signed = format!(
        "{}.{}",
        encode(&header.to_string()),
        encode(&scene.provider.claims("7", AUDIENCE, NOW).to_string())
    );
    for secret in [public.to_string(), public["n"].as_str().unwrap().to_owned()] {
        let script = "import base64, hashlib, hmac, sys; \
                      mac = hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), hashlib.sha256).digest(); \
                      print(base64.urlsafe_b64encode(mac).decode().rstrip('='))";
        let answer = std::process::Command::new("python3").args(["-c", script, &secret, &signed]).output();
        let signature = String::from_utf8(answer.unwrap().stdout).unwrap();
        assert_eq!(signature.trim().len(), 43);
        assert!(!scene.is_accepted(&format!("{signed}.{}", signature.trim())).await);
    }
}

#[tokio::test]
async fn a_token_of_more_than_16_kibibytes_is_refused() {
    let scene = Scene::new();
    let mut claims = scene.provider.claims("7", AUDIENCE, NOW);
    claims["groups"] = json!("g".repeat(8_000));
    assert!(scene.is_accepted(&scene.key.token(&claims)).await);
    claims["groups"] = json!("g".repeat(16_000));
    assert!(!scene.is_accepted(&scene.key.token(&claims)).await);
}

/// What is done to a token.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, char),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = || any::<prop::sample::Index>();
    let character = || prop::char::ranges(vec!['A'..='Z', 'a'..='z', '0'..='9', '-'..='.', '='..='='].into());
    prop_oneof![
        (place(), character()).prop_map(|(place, new)| Mutation::Replace(place, new)),
        (place(), character()).prop_map(|(place, new)| Mutation::Insert(place, new)),
        place().prop_map(Mutation::Remove),
        place().prop_map(Mutation::Cut),
        (place(), place()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

fn mutated(token: &str, mutation: &Mutation) -> String {
    let mut characters: Vec<char> = token.chars().collect();
    let length = characters.len();
    match mutation {
        Mutation::Replace(place, new) => characters[place.index(length)] = *new,
        Mutation::Insert(place, new) => characters.insert(place.index(length), *new),
        Mutation::Remove(place) => drop(characters.remove(place.index(length))),
        Mutation::Cut(place) => characters.truncate(place.index(length)),
        Mutation::Swap(one, other) => characters.swap(one.index(length), other.index(length)),
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_token_is_accepted(mutations in prop::collection::vec(mutation(), 256)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for key in [SigningKey::rs256("a", 0), SigningKey::es256("a"), SigningKey::eddsa("a")] {
            let scene = Scene::with(key);
            let token = scene.token();
            prop_assert!(runtime.block_on(scene.is_accepted(&token)));
            for mutation in &mutations {
                let mutated = mutated(&token, mutation);
                let is_accepted = runtime.block_on(scene.is_accepted(&mutated));
                prop_assert_eq!(is_accepted, mutated == token, "{:?}: {}", mutation, mutated);
            }
            prop_assert!(scene.provider.fetches() <= 2, "an unknown key is asked for once a minute");
        }
    }
}
