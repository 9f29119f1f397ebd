//! Keys and signatures made by others: by the `openssl` command, and those that
//! the RFCs print.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integrity::{IntegrityError, KeyError, Policy, TrustedKey, parse_digest};

const MODULE: &[u8] = b"\0asm and whatever follows";

/// RFC 8410, section 10.1.
const RFC_8410_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";

/// RFC 8032, section 7.1, test 3: key, message, signature.
const RFC_8032: [&str; 3] = [
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
];

/// A folder in which `openssl` works.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Desk(tempfile::tempdir().expect("temporary folder"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("this test needs the openssl command (apt install openssl)");
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
        output.stdout
    }

    /// A pair, `NAME.pem` and `NAME.pub`.
    fn key(&self, name: &str) -> TrustedKey {
        self.openssl(&format!("genpkey -algorithm ed25519 -out {name}.pem"));
        self.openssl(&format!("pkey -in {name}.pem -pubout -out {name}.pub"));
        TrustedKey::read(&self.at(&format!("{name}.pub"))).expect("a key")
    }

    fn signature(&self, key: &str, content: &[u8]) -> Vec<u8> {
        std::fs::write(self.at("f.wasm"), content).expect("file");
        let sign = "pkeyutl -sign -rawin -in f.wasm -out f.wasm.sig -inkey";
        self.openssl(&format!("{sign} {key}.pem"));
        std::fs::read(self.at("f.wasm.sig")).expect("signature")
    }
}

fn policy(keys: &[&TrustedKey], require_signed: bool) -> Policy {
    Policy {
        digests: Vec::new(),
        trusted_keys: keys.iter().map(|key| (*key).clone()).collect(),
        require_signed,
    }
}

/// What a module comes to, in a word.
fn word(policy: &Policy, wasm: &[u8], signature: Option<&[u8]>) -> &'static str {
    match policy.verify("m", wasm, signature) {
        Ok(provenance) if provenance.signed_by.is_some() => "signed",
        Ok(_) => "unsigned",
        Err(IntegrityError::NotPinned { .. }) => "not pinned",
        Err(IntegrityError::Unsigned { .. }) => "needs one",
        Err(IntegrityError::Malformed { .. }) => "malformed",
        Err(IntegrityError::NotConfirmed { .. }) => "not confirmed",
        Err(IntegrityError::NoTrustedKey { .. }) => "no key",
    }
}

#[test]
fn a_signature_should_count_when_openssl_made_it_with_a_trusted_key_over_these_bytes() {
    let desk = Desk::new();
    let [ours, also_ours, theirs] = ["a", "b", "c"].map(|name| desk.key(name));
    let good = desk.signature("a", MODULE);
    let second = desk.signature("b", MODULE);
    let foreign = desk.signature("c", MODULE);
    let of_another = desk.signature("a", b"\0asm another");
    let in_lines = desk.openssl("base64 -in f.wasm.sig");
    std::fs::write(desk.at("good"), &good).expect("file");
    let text = desk.openssl("base64 -in good");
    let one_line = desk.openssl("base64 -A -in good");
    let mut bent = good.clone();
    bent[40] ^= 1;
    let mut longer = MODULE.to_vec();
    longer.push(0);
    assert_eq!(good.len(), 64);
    // Signature, bytes; what it comes to where signatures are required, and
    // where they are not.
    let rows: &[(&str, Option<&[u8]>, &[u8], [&str; 2])] = &[
        ("none", None, MODULE, ["needs one", "unsigned"]),
        ("good", Some(&good), MODULE, ["signed"; 2]),
        ("of the second key", Some(&second), MODULE, ["signed"; 2]),
        ("as text", Some(&text), MODULE, ["signed"; 2]),
        (
            "as text in one line",
            Some(&one_line),
            MODULE,
            ["signed"; 2],
        ),
        (
            "of another, as text",
            Some(&in_lines),
            MODULE,
            ["not confirmed"; 2],
        ),
        (
            "of a stranger",
            Some(&foreign),
            MODULE,
            ["not confirmed"; 2],
        ),
        (
            "of another module",
            Some(&of_another),
            MODULE,
            ["not confirmed"; 2],
        ),
        (
            "with a bit changed",
            Some(&bent),
            MODULE,
            ["not confirmed"; 2],
        ),
        (
            "module with a byte more",
            Some(&good),
            &longer,
            ["not confirmed"; 2],
        ),
        (
            "module with a byte less",
            Some(&good),
            &MODULE[1..],
            ["not confirmed"; 2],
        ),
        ("empty", Some(b""), MODULE, ["malformed"; 2]),
        ("short", Some(&good[1..]), MODULE, ["malformed"; 2]),
        ("short text", Some(&one_line[4..]), MODULE, ["malformed"; 2]),
        (
            "twice",
            Some(&[good.clone(), good.clone()].concat()),
            MODULE,
            ["malformed"; 2],
        ),
    ];
    let keys = [&ours, &also_ours];
    for (what, signature, wasm, [required, optional]) in rows {
        assert_eq!(
            word(&policy(&keys, true), wasm, *signature),
            *required,
            "{what}"
        );
        assert_eq!(
            word(&policy(&keys, false), wasm, *signature),
            *optional,
            "{what}"
        );
    }
    // Who signed is who is named.
    let signed = policy(&keys, true)
        .verify("m", MODULE, Some(&second))
        .expect("signed");
    assert_eq!(signed.signed_by, Some(also_ours.id()));
    assert_ne!(ours.id(), theirs.id());
    // Without keys there is nothing to judge by.
    assert_eq!(
        word(&policy(&[], false), MODULE, Some(&foreign)),
        "unsigned"
    );
    assert_eq!(word(&policy(&[], true), MODULE, Some(&good)), "no key");
}

#[test]
fn a_pin_should_hold_beside_a_signature() {
    let desk = Desk::new();
    let key = desk.key("a");
    let good = desk.signature("a", MODULE);
    let printed = desk.openssl("dgst -sha256 -r f.wasm");
    let printed = String::from_utf8(printed).expect("text");
    let digest = printed.split_whitespace().next().expect("a digest");
    let pinned = |digest: &str, keys: &[&TrustedKey], required| Policy {
        digests: vec![[7; 32], parse_digest(digest).expect("a digest")],
        ..policy(keys, required)
    };
    let other = "00".repeat(32);
    let rows: &[(&str, &[&TrustedKey], bool, Option<&[u8]>, &str)] = &[
        (digest, &[], false, None, "unsigned"),
        (digest, &[&key], true, None, "needs one"),
        (digest, &[&key], true, Some(&good), "signed"),
        (&other, &[], false, None, "not pinned"),
        (&other, &[&key], true, Some(&good), "not pinned"),
    ];
    for (digest, keys, required, signature, expected) in rows {
        let policy = pinned(digest, keys, *required);
        assert_eq!(word(&policy, MODULE, *signature), *expected, "{digest}");
    }
    let refused = pinned(&other, &[], false)
        .verify("m", MODULE, None)
        .expect_err("not pinned");
    assert!(refused.to_string().contains(digest), "{refused}");
}

#[test]
fn the_vectors_of_the_rfcs_should_come_out() {
    TrustedKey::parse(RFC_8410_KEY, "RFC 8410").expect("a key");
    let [key, message, signature] = RFC_8032.map(bytes);
    let desk = Desk::new();
    let der = [bytes("302a300506032b6570032100"), key].concat();
    std::fs::write(desk.at("key.der"), &der).expect("file");
    desk.openssl("pkey -pubin -inform DER -in key.der -pubout -out key.pub");
    let key = TrustedKey::read(&desk.at("key.pub")).expect("a key");
    let policy = policy(&[&key], true);
    assert_eq!(word(&policy, &message, Some(&signature)), "signed");
    // Its last byte holds the highest bits of a number that must be small: the
    // same number in another form is no signature (RFC 8032, 5.1.7).
    let mut other_form = signature.clone();
    other_form[63] |= 0x20;
    assert_eq!(word(&policy, &message, Some(&other_form)), "not confirmed");
}

#[test]
fn a_key_should_be_called_by_what_openssl_and_sha256_make_of_it() {
    let desk = Desk::new();
    let key = desk.key("a");
    desk.openssl("pkey -pubin -in a.pub -outform DER -out a.der");
    let printed = String::from_utf8(desk.openssl("dgst -sha256 -r a.der")).expect("text");
    assert_eq!(key.id().to_string(), &printed[..16]);
}

#[test]
fn what_is_no_public_key_should_say_so() {
    let desk = Desk::new();
    desk.key("a");
    desk.openssl("genpkey -algorithm x25519 -out x.pem");
    desk.openssl("pkey -in x.pem -pubout -out x.pub");
    desk.openssl("ecparam -name prime256v1 -genkey -noout -out p.pem");
    desk.openssl("pkey -in p.pem -pubout -out p.pub");
    let read = |name: &str| std::fs::read_to_string(desk.at(name)).expect("file");
    let twice = read("a.pub").repeat(2);
    let cut = read("a.pub").replace("END", "");
    for (name, text) in [("twice", twice), ("cut", cut), ("empty", String::new())] {
        std::fs::write(desk.at(name), text).expect("file");
    }
    let rows = [
        ("a.pem", "holds a private key"),
        ("p.pem", "holds a private key"),
        ("x.pub", "of another kind"),
        ("p.pub", "of another kind"),
        ("twice", "several keys"),
        ("cut", "no line END"),
        ("empty", "no line BEGIN"),
        ("missing", "cannot be read"),
    ];
    for (name, reason) in rows {
        let error: KeyError = TrustedKey::read(&desk.at(name)).expect_err(name);
        let text = error.to_string();
        assert!(
            text.contains(reason) && text.contains(&*shown(&desk.at(name))),
            "{text}"
        );
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits"))
        .collect()
}
