//! What can be wrong with a request.

use chatstore_bench::random::Random;

use super::request::RawRequest;

/// Bytes of a header that is too large, of a body in many pieces, and of one that is too large.
const LARGE_HEADER: usize = 70_000;
const LARGE_BODY: usize = 40_000;
const HUGE_BODY: usize = 1_200_000;

/// One in how many large things is huge.
const HUGE: usize = 50;

/// Makes something of it wrong, or only unusual.
pub(super) fn mutate(request: &mut RawRequest, random: &mut Random) {
    match random.below(12) {
        0 => line(request, random),
        1 => target(request, random),
        2 => length(request, random),
        3 | 4 => chunked(request, random),
        5 => host(request, random),
        6 => header(request, random),
        7 => meaning(request, random),
        8 => credentials(request, random),
        9 | 10 => body(request, random),
        _ => request.line_end = pick(&[b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b""], random),
    }
}

/// Changes bytes without a thought of what they mean.
pub(super) fn mutate_bytes(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let end = at + random.below(bytes.len() - at).min(40);
    let byte = u8::try_from(random.below(256)).unwrap_or(0);
    match random.below(7) {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes.insert(at, byte),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ => {
            let from = random.below(other.len().max(1)).min(other.len());
            let piece = other[from..].to_vec();
            drop(bytes.splice(at..end, piece));
        }
    }
}

fn pick(choices: &[&[u8]], random: &mut Random) -> Vec<u8> {
    choices[random.below(choices.len())].to_vec()
}

fn set(request: &mut RawRequest, name: &str, value: Vec<u8>) {
    request.remove(name);
    request.push(name, value);
}

fn line(request: &mut RawRequest, random: &mut Random) {
    if random.below(2) == 0 {
        request.version = pick(
            &[
                b"HTTP/1.0",
                b"HTTP/0.9",
                b"HTTP/1.2",
                b"HTTP/2.0",
                b"http/1.1",
                b"HTTP/1.1 ",
                b"",
                b"HTTP/1.1\0",
            ],
            random,
        );
    } else {
        request.method = pick(
            &[
                b"get",
                b"",
                b"CONNECT",
                b"TRACE",
                b"PRI",
                b"G\0T",
                b"G T",
                b"\r\nGET",
                b"\xff\xfe",
                &[b'A'; 300],
            ],
            random,
        );
    }
}

fn target(request: &mut RawRequest, random: &mut Random) {
    match random.below(6) {
        0 => {
            let whole =
                [b"*".as_slice(), b"", b"localhost:80", b"//", b"/../../etc/passwd", b"?", b"/%", b"http://"];
            request.target = pick(&whole, random);
        }
        1 => request.target = [b"http://example.org", &request.target[..]].concat(),
        2 => request.target.extend(vec![b'a'; 9_000]),
        3 => request
            .target
            .extend(pick(&[b"?limit=-1", b"?a=%zz&&==", b"?cursor=%00", b"#x", b"?%ff=%fe"], random)),
        4 => {
            let odd: &[&[u8]] =
                &[b"%00", b"%2F", b"%ff", b"%e2%80%ae", b"\xc3\xbc", b" ", b"..", b"{id}", b"%25"];
            let piece = pick(odd, random);
            let at = random.below(request.target.len() + 1);
            drop(request.target.splice(at..at, piece));
        }
        _ => {
            // Another value in place of a segment.
            let text = String::from_utf8_lossy(&request.target).into_owned();
            let mut segments: Vec<&str> = text.split('/').collect();
            let at = random.below(segments.len());
            segments[at] =
                ["0", "-1", "9223372036854775808", "a", "me", "00000000-0000-0000-0000-000000000000"]
                    [random.below(6)];
            request.target = segments.join("/").into_bytes();
        }
    }
}

fn length(request: &mut RawRequest, random: &mut Random) {
    let right = request.body.len();
    let value = match random.below(12) {
        0 => (right + 1 + random.below(50)).to_string(),
        1 => right.saturating_sub(1 + random.below(10)).to_string(),
        2 => u64::MAX.to_string(),
        3 => "99999999999999999999999999".to_owned(),
        4 => format!("-{right}"),
        5 => format!("+{right}"),
        6 => format!("0x{right:x}"),
        7 => format!("{right}, {right}"),
        8 => format!("{right} "),
        9 => format!("000{right}"),
        10 => String::new(),
        _ => right.to_string(),
    };
    if random.below(3) == 0 {
        request.push("Content-Length", value);
    } else {
        set(request, "Content-Length", value.into_bytes());
    }
}

/// Sends the body in chunks, right or wrong ones.
fn chunked(request: &mut RawRequest, random: &mut Random) {
    if random.below(4) != 0 {
        request.remove("Content-Length");
    }
    let coding: &[&[u8]] = &[
        b"chunked",
        b"Chunked",
        b"gzip, chunked",
        b"chunked, chunked",
        b"xchunked",
        b"identity",
        b"chunked;q=1",
        b"",
    ];
    let coding = if random.below(3) > 0 { b"chunked".to_vec() } else { pick(coding, random) };
    request.push("Transfer-Encoding", coding);
    let body = std::mem::take(&mut request.body);
    let mut rest = &body[..];
    while !rest.is_empty() {
        let (piece, left) = rest.split_at((1 + random.below(40)).min(rest.len()));
        rest = left;
        let size = match random.below(30) {
            0 => "zz".to_owned(),
            1 => "ffffffffffffffff".to_owned(),
            2 => "-1".to_owned(),
            3 => format!("{:x}", piece.len() + 1),
            4 => format!("{:x};name=\"value\"", piece.len()),
            5 => format!("{:X} ", piece.len()),
            6 => format!("0000000000000000000{:x}", piece.len()),
            7 => format!("{:x};{}", piece.len(), "e".repeat(20_000)),
            _ => format!("{:x}", piece.len()),
        };
        let end: &[u8] = if random.below(30) == 0 { b"\n" } else { b"\r\n" };
        request.body.extend([size.as_bytes(), end, piece, end].concat());
    }
    let last: &[&[u8]] = &[
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\nX-Trailer: a\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\n\n",
        b"",
    ];
    request.body.extend(pick(last, random));
}

fn host(request: &mut RawRequest, random: &mut Random) {
    match random.below(4) {
        0 => request.remove("Host"),
        1 => request.push("Host", "other.example.org"),
        2 => set(
            request,
            "Host",
            pick(&[b"", b"a b", b"a@b", b"[::1", b"\xff", b"a,b", b"a:b:c", b"a:99999"], random),
        ),
        _ => request.push("host ", "space"),
    }
}

fn header(request: &mut RawRequest, random: &mut Random) {
    match random.below(7) {
        0 => {
            let at = random.below(request.headers.len().max(1)).min(request.headers.len());
            drop(request.headers.drain(..at));
        }
        1 => request.headers.extend(request.headers.clone()),
        2 => request.push("X-Large", vec![b'a'; random.below(LARGE_HEADER)]),
        3 => (0..150).for_each(|index| request.push(&format!("X-Many-{index}"), "a")),
        4 => {
            let names: &[&[u8]] = &[b"", b"a b", b"a:b", b"\0", b"\xc3\xbc", b" Folded", b"(a)"];
            request.headers.push((pick(names, random), b"x".to_vec()));
        }
        5 => {
            let values: &[&[u8]] =
                &[b"a\r\n b", b"a\0b", b"\xff\xfe", b"\x1b[2J", b"a\rb", b"\t", b"\xe2\x80\xae"];
            request.push("X-Odd", pick(values, random));
        }
        _ => request.headers.reverse(),
    }
}

/// Headers that mean something to the server or to what is in front of it.
fn meaning(request: &mut RawRequest, random: &mut Random) {
    let odd: &[(&str, &[u8])] = &[
        ("Expect", b"100-continue"),
        ("Expect", b"200-ok"),
        ("Upgrade", b"h2c"),
        ("Upgrade", b"websocket"),
        ("Connection", b"close"),
        ("Connection", b"keep-alive, upgrade, close, ,"),
        ("Connection", b"Authorization"),
        ("Range", b"bytes=0-99999999999999999999"),
        ("If-Match", b"\"1\", W/\"2\", *"),
        ("If-Match", b"\"99999999999999999999\""),
        ("If-None-Match", b"*,,,\""),
        ("Idempotency-Key", b"the same"),
        ("Idempotency-Key", b"key-1"),
        ("Idempotency-Key", b""),
        ("X-Request-Id", b"a\tb"),
        ("X-Forwarded-For", b"1.1.1.1, ::1, unknown, 999.9.9.9"),
        ("Content-Type", b"text/plain"),
        ("Content-Type", b"application/json; charset=utf-16"),
        ("Content-Encoding", b"gzip"),
        ("Accept-Encoding", b"gzip;q=9, *;q=-1"),
        ("Origin", b"https://example.org"),
        ("Cookie", b"a=b; c"),
        ("TE", b"trailers, deflate;q=0.5"),
        ("HTTP2-Settings", b"AAMAAABkAAQAAP__"),
    ];
    let (name, value) = odd[random.below(odd.len())];
    request.push(name, value);
}

fn credentials(request: &mut RawRequest, random: &mut Random) {
    match random.below(6) {
        0 => request.remove("Authorization"),
        1 => {
            let twice = request.header_mut("Authorization").cloned().unwrap_or_default();
            request.push("Authorization", twice);
        }
        2 => {
            if let Some(value) = request.header_mut("Authorization") {
                mutate_bytes(value, b"Basic eyJhbGciOiJub25lIn0.e30.", random);
            }
        }
        3 => {
            let values: &[&[u8]] =
                &[b"Bearer", b"Bearer ", b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Basic YTpi", b"\xff"];
            set(request, "Authorization", pick(values, random));
        }
        _ => {
            let users: &[&[u8]] = &[
                b"name:ada",
                b"email:a@example.org",
                b"ext:1",
                b"name:%zz",
                b"name:zo%C3%AB",
                b"\xff",
                b"",
                b":",
            ];
            request.push("Chatstore-User", pick(users, random));
        }
    }
}

fn body(request: &mut RawRequest, random: &mut Random) {
    let text: Vec<u8> = match random.below(14) {
        0 => [vec![b'['; 300], vec![b']'; 300]].concat(),
        1 => b"{\"content\": \"\\ud800\"}".to_vec(),
        2 => b"{\"content\": \"\xff\xfe\"}".to_vec(),
        3 => b"{\"content\": \"a\\u0000b\"}".to_vec(),
        4 => b"{\"content\": \"a\", \"content\": \"b\"}".to_vec(),
        5 => b"{\"content\": 1e999999, \"metadata\": {\"a\": 123456789012345678901234567890}}".to_vec(),
        6 => b"{\"messages\": []}".to_vec(),
        7 => [b"{\"messages\": [", vec![b"0,".as_slice(); 5_000].concat().as_slice(), b"0]}"].concat(),
        8 => [b"{", vec![b"\"x\":1,".as_slice(); 2_000].concat().as_slice(), b"\"y\":1}"].concat(),
        9 => {
            let bytes = if random.below(HUGE) == 0 { HUGE_BODY } else { LARGE_BODY };
            [b"{\"content\": \"", vec![b'a'; random.below(bytes)].as_slice(), b"\"}"].concat()
        }
        10 => b"null".to_vec(),
        11 => Vec::new(),
        12 => b"\xef\xbb\xbf{}".to_vec(),
        _ => {
            let mut body = std::mem::take(&mut request.body);
            mutate_bytes(&mut body, b"\"\\{}[],:", random);
            body
        }
    };
    if request.header_mut("Content-Length").is_some() || random.below(2) == 0 {
        set(request, "Content-Length", text.len().to_string().into_bytes());
    }
    request.body = text;
}
