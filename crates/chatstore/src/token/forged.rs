//! Access tokens that must not be believed, each named by what is forged.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use chatstore_model::{SessionId, Timestamp, UserId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};
use uuid::Uuid;

use super::{AccessClaims, TokenKeys};

const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";
const NOW: i64 = 1_769_860_800;

type Object = Map<String, Value>;

fn keys() -> TokenKeys {
    TokenKeys::generate(|bytes| bytes.copy_from_slice(&KEY)).0
}

fn now() -> Timestamp {
    Timestamp::from_microseconds(NOW * 1_000_000).unwrap()
}

fn genuine_with(keys: &TokenKeys) -> String {
    let user = UserId::from_uuid(Uuid::from_u128(1));
    let session = SessionId::from_uuid(Uuid::from_u128(2));
    keys.access_token(&AccessClaims::new(user, session, Uuid::from_u128(3), now()))
}

fn genuine() -> String {
    genuine_with(&keys())
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn object(part: &str) -> Object {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn signature(signed: &str, key: &[u8]) -> String {
    encode(Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(signed).finalize().into_bytes())
}

/// A token of these two texts, signed with the server's own key: only what it says can be wrong.
fn signed(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = signature(&signed, &KEY);
    format!("{signed}.{signature}")
}

fn with(change: impl FnOnce(&mut Object, &mut Object)) -> String {
    let [header, payload, _] = parts(&genuine());
    let (mut header, mut claims) = (object(&header), object(&payload));
    change(&mut header, &mut claims);
    signed(&Value::Object(header).to_string(), &Value::Object(claims).to_string())
}

fn header(name: &str, value: Value) -> String {
    with(|header, _| drop(header.insert(name.to_owned(), value)))
}

fn claim(name: &str, value: Value) -> String {
    with(|_, claims| drop(claims.insert(name.to_owned(), value)))
}

fn without_header(name: &str) -> String {
    with(|header, _| drop(header.remove(name)))
}

fn without_claim(name: &str) -> String {
    with(|_, claims| drop(claims.remove(name)))
}

/// The token with one bit of a part's bytes changed.
fn flipped(which: usize) -> String {
    let mut parts = parts(&genuine());
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&parts[which]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    parts[which] = encode(bytes);
    parts.join(".")
}

/// Another algorithm by name, the signature still HMAC-SHA256 with the server's key.
fn algorithms() -> Vec<(&'static str, String)> {
    let [header_part, payload, signature] = parts(&genuine());
    let unsigned = |name: &str| {
        let mut header = object(&header_part);
        header.insert("alg".to_owned(), json!(name));
        format!("{}.{payload}", encode(Value::Object(header).to_string()))
    };
    let hs384 = unsigned("HS384");
    let mac = Hmac::<Sha384>::new_from_slice(&KEY).unwrap().chain_update(&hs384).finalize();
    let hs384 = format!("{hs384}.{}", encode(mac.into_bytes()));
    let hs512 = unsigned("HS512");
    let mac = Hmac::<Sha512>::new_from_slice(&KEY).unwrap().chain_update(&hs512).finalize();
    let hs512 = format!("{hs512}.{}", encode(mac.into_bytes()));
    vec![
        ("alg none without signature", format!("{}.", unsigned("none"))),
        ("alg None without signature", format!("{}.", unsigned("None"))),
        ("alg nONE without signature", format!("{}.", unsigned("nONE"))),
        ("alg none with the old signature", format!("{}.{signature}", unsigned("none"))),
        ("alg none, signed", header("alg", json!("none"))),
        ("alg HS384 with the same key", hs384),
        ("alg HS512 with the same key", hs512),
        ("alg RS256 with the key as public key", header("alg", json!("RS256"))),
        ("alg ES256 with the key as public key", header("alg", json!("ES256"))),
        ("alg in small letters", header("alg", json!("hs256"))),
        ("alg as a list", header("alg", json!(["HS256", "none"]))),
        ("no alg", without_header("alg")),
    ]
}

fn headers() -> Vec<(&'static str, String)> {
    let [header_part, payload, _] = parts(&genuine());
    let text = Value::Object(object(&header_part)).to_string();
    let claims = Value::Object(object(&payload)).to_string();
    let key = json!({ "kty": "oct", "k": encode([9; 32]) });
    vec![
        ("another kid", header("kid", json!("0123456789abcdef"))),
        ("an empty kid", header("kid", json!(""))),
        ("kid as a path", header("kid", json!("../../../dev/null"))),
        ("no kid", without_header("kid")),
        ("typ JWT", header("typ", json!("JWT"))),
        ("typ rt+jwt", header("typ", json!("rt+jwt"))),
        ("no typ", without_header("typ")),
        ("crit", header("crit", json!(["exp"]))),
        ("b64 false", header("b64", json!(false))),
        ("cty JWT", header("cty", json!("JWT"))),
        ("jku", header("jku", json!("https://evil.example/keys"))),
        ("jwk", header("jwk", key)),
        ("x5u", header("x5u", json!("https://evil.example/certificate"))),
        ("x5c", header("x5c", json!(["MIIB"]))),
        ("alg twice", signed(&text.replacen('{', r#"{"alg":"none","#, 1), &claims)),
        ("a blank in the header", signed(&text.replacen(',', ", ", 1), &claims)),
        ("a header that is no object", signed("[]", &claims)),
        ("an empty header", signed("", &claims)),
    ]
}

fn claims() -> Vec<(&'static str, String)> {
    let [header_part, payload, _] = parts(&genuine());
    let text = Value::Object(object(&header_part)).to_string();
    let claims = Value::Object(object(&payload)).to_string();
    let twice = |claim: &str| signed(&text, &claims.replacen('{', &format!("{{{claim},"), 1));
    vec![
        ("iss of another", claim("iss", json!("evil"))),
        ("iss as a list", claim("iss", json!(["chatstore"]))),
        ("no iss", without_claim("iss")),
        ("aud of another", claim("aud", json!("evil"))),
        ("aud as a list with others", claim("aud", json!(["chatstore", "evil"]))),
        ("no aud", without_claim("aud")),
        ("no sub", without_claim("sub")),
        ("sub that is no id", claim("sub", json!("admin"))),
        ("sub as a number", claim("sub", json!(1))),
        ("sub nil", claim("sub", json!(Uuid::nil().to_string()))),
        ("sub null", claim("sub", Value::Null)),
        ("no sid", without_claim("sid")),
        ("sid that is no id", claim("sid", json!("*"))),
        ("no jti", without_claim("jti")),
        ("jti that is no id", claim("jti", json!("1' or '1'='1"))),
        ("no exp", without_claim("exp")),
        ("exp past", claim("exp", json!(NOW - 1))),
        ("exp now", claim("exp", json!(NOW))),
        ("exp as text", claim("exp", json!((NOW + 600).to_string()))),
        ("exp as a fraction", claim("exp", json!(NOW as f64 + 600.5))),
        ("exp as a number too large for 64 bits", claim("exp", json!(1e300))),
        ("exp beyond the last year", claim("exp", json!(i64::MAX))),
        ("exp in an hour", claim("exp", json!(NOW + 3_600))),
        ("exp null", claim("exp", Value::Null)),
        ("nbf in six seconds", claim("nbf", json!(NOW + 6))),
        ("no nbf", without_claim("nbf")),
        ("iat in six seconds", claim("iat", json!(NOW + 6))),
        ("iat before the first year", claim("iat", json!(i64::MIN))),
        ("no iat", without_claim("iat")),
        ("sub twice", twice(&format!(r#""sub":"{}""#, Uuid::from_u128(9)))),
        ("exp twice", twice(r#""exp":9999999999"#)),
        ("claims cut off", signed(&text, &claims[..claims.len() - 1])),
        ("claims with something after them", signed(&text, &format!("{claims}{{}}"))),
        ("claims that are a token", signed(&text, &genuine())),
        ("claims as a list", signed(&text, &format!("[{claims}]"))),
        ("claims of another type", signed(&text, "\"chatstore\"")),
        ("claims that are not UTF-8", {
            let signed = format!("{}.{}", encode(&text), encode(b"{\"iss\":\"\xff\"}"));
            format!("{signed}.{}", signature(&signed, &KEY))
        }),
    ]
}

fn forms() -> Vec<(&'static str, String)> {
    let good = genuine();
    let [header, payload, signature_part] = parts(&good);
    let [_, other_payload, _] = parts(&claim("sub", json!(Uuid::from_u128(9).to_string())));
    let other_server = TokenKeys::generate(|bytes| bytes.fill(9)).0;
    let under_our_name = {
        let signed = format!("{header}.{payload}");
        format!("{signed}.{}", signature(&signed, &[9; 32]))
    };
    vec![
        ("nothing", String::new()),
        ("two points", "..".to_owned()),
        ("one part", header.clone()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature_part}")),
        ("five parts, as if encrypted", format!("{header}..{payload}.{signature_part}.")),
        ("a point before", format!(".{good}")),
        ("a point after", format!("{good}.")),
        ("signature empty", format!("{header}.{payload}.")),
        ("payload detached", format!("{header}..{signature_part}")),
        ("header empty", format!(".{payload}.{signature_part}")),
        ("signature cut off", good[..good.len() - 1].to_owned()),
        ("half of the signature", good[..good.len() - 22].to_owned()),
        ("signature twice as long", format!("{good}{signature_part}")),
        ("signature of zeros", format!("{header}.{payload}.{}", encode([0; 32]))),
        ("a bit of the header", flipped(0)),
        ("a bit of the payload", flipped(1)),
        ("a bit of the signature", flipped(2)),
        ("signature over other claims", format!("{header}.{other_payload}.{signature_part}")),
        ("key of another server", genuine_with(&other_server)),
        ("key of another server under our kid", under_our_name),
        ("empty key under our kid", {
            let signed = format!("{header}.{payload}");
            format!("{signed}.{}", signature(&signed, b""))
        }),
        ("padding after the signature", format!("{good}=")),
        ("padded parts", {
            let pad = |part: &str| BASE64_URL_SAFE.encode(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap());
            let signed = format!("{header}.{}", pad(&payload));
            format!("{signed}.{}", signature(&signed, &KEY))
        }),
        ("bits of the last character that mean nothing", {
            let last = signature_part.chars().last().unwrap();
            format!("{}{}", &good[..good.len() - 1], char::from(last as u8 + 1))
        }),
        ("standard base 64", {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&signature_part).unwrap();
            format!("{header}.{payload}.{}", BASE64_STANDARD.encode(bytes))
        }),
        ("a blank before", format!(" {good}")),
        ("a blank after", format!("{good} ")),
        ("a line break after", format!("{good}\n")),
        ("a line break inside", good.replacen('.', ".\r\n", 1)),
        ("the scheme before it", format!("Bearer {good}")),
        ("NUL after", format!("{good}\0")),
        (
            "JSON instead of the compact form",
            json!({ "protected": header, "payload": payload, "signature": signature_part }).to_string(),
        ),
        ("too long", claim("padding", json!("x".repeat(2_048)))),
        ("a refresh token", format!("cr_{0}_{0}_0_{1}", "1".repeat(22), "A".repeat(43))),
        ("an API key", format!("cs_{}_{}", "1".repeat(22), "A".repeat(43))),
    ]
}

#[test]
fn the_forger_makes_a_genuine_token_when_it_forges_nothing() {
    let genuine = genuine();
    assert_eq!(with(|_, _| ()), genuine);
    assert!(keys().verify_access(&genuine, now()).is_some());
    assert!(keys().verify_access(&claim("more", json!("is ignored")), now()).is_some());
    assert!(keys().verify_access(&claim("nbf", json!(NOW + 5)), now()).is_some());
}

#[test]
fn every_forged_token_is_refused() {
    let forged = [algorithms(), headers(), claims(), forms()].concat();
    assert!(forged.len() >= 100, "{}", forged.len());
    for (name, token) in forged {
        assert_eq!(keys().verify_access(&token, now()), None, "{name}: {token}");
    }
}

proptest! {
    #[test]
    fn random_text_is_refused(text in "\\PC{0,200}", points in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        prop_assert_eq!(keys().verify_access(&text, now()), None);
        prop_assert_eq!(keys().verify_access(&points, now()), None);
    }

    #[test]
    fn an_altered_token_is_refused(
        place in any::<prop::sample::Index>(),
        length in 0_usize..3,
        piece in "[._=A-Za-z0-9é-]{0,2}",
    ) {
        let good = genuine();
        let start = place.index(good.len());
        let end = (start + length).min(good.len());
        let altered = format!("{}{piece}{}", &good[..start], &good[end..]);
        prop_assume!(altered != good);
        prop_assert_eq!(keys().verify_access(&altered, now()), None);
    }
}
