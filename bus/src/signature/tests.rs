//! Good signatures of every kind of key, and the tricks that are known.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

mod lists;

use super::algorithm::Algorithm;
use super::fixture::{Client, Site};
use super::{Signer, Trust, TrustFiles};
use crate::clock::Utc;
use crate::topic::Identity;

const TOPIC: &str = "clasp/slide/command/alice/set";
const PAYLOAD: &str = r#"{"id":"a","ts":"2026-11-30T20:00:00Z","mm":1.5}"#;
/// Made by OpenSSL: rcgen makes no RSA keys with ring.
const RSA: &str = include_str!("fixtures/rsa.key");
/// SEC1, as `openssl ecparam -genkey` writes it.
const SEC1: &str = include_str!("fixtures/sec1.key");

fn night() -> Utc {
    Utc::parse("2026-11-30T20:00:01Z").unwrap()
}

fn verified(trust: &Trust, signature: &str) -> String {
    let alice = Identity::new("alice").unwrap();
    let verdict = trust.verify(signature, TOPIC, &alice, PAYLOAD.as_bytes(), night());
    verdict.err().map(|wrong| wrong.to_string()).unwrap_or_default()
}

#[track_caller]
fn refused(trust: &Trust, signature: &str, expected: &str) {
    let words = verified(trust, signature);
    assert!(words.contains(expected), "{words}");
    assert!(!words.chars().any(char::is_control) && words.len() < 1000, "{words}");
}

/// The signature with another header, which keeps its claim.
fn with_header(signature: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = signature.split_once("..").unwrap();
    let mut header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    change(&mut header);
    format!("{}..{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn what_alice_has_signed_is_hers() {
    let site = Site::new();
    let trust = site.trust(&[]);
    assert_eq!(verified(&trust, &site.client("alice").sign(TOPIC, PAYLOAD)), "");
}

#[test]
fn every_kind_of_key_that_opens_a_connection_signs() {
    let site = Site::new();
    let trust = site.trust(&[]);
    for (kind, expected) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384"),
        (&rcgen::PKCS_ED25519, "EdDSA"),
    ] {
        let alice = site.client_with("alice", &KeyPair::generate_for(kind).unwrap(), |_| ());
        // Often: the two numbers of a signature have now and then fewer digits.
        for _ in 0..50 {
            assert_eq!(verified(&trust, &alice.sign(TOPIC, PAYLOAD)), "", "{expected}");
        }
        assert_eq!(format!("{:?}", alice.signer()), format!("Signer({expected}, key hidden)"));
    }
    let alice = site.client_with("alice", &KeyPair::from_pem(RSA).unwrap(), |_| ());
    assert_eq!(verified(&trust, &alice.sign(TOPIC, PAYLOAD)), "");
    let sec1 = PrivateKeyDer::from_pem_slice(SEC1.as_bytes()).unwrap();
    assert!(Signer::new(&alice.chain, &sec1).unwrap().sign(TOPIC, b"").is_some());
}

#[test]
fn a_signature_counts_for_nothing_else() {
    let site = Site::new();
    let (trust, signature) = (site.trust(&[]), site.client("alice").sign(TOPIC, PAYLOAD));
    let alice = Identity::new("alice").unwrap();
    for topic in [
        "clasp/slide/command/alice/init",
        "clasp/slide-2/command/alice/set",
        "ngts/slide/command/alice/set",
        "clasp/slide/command/bob/set",
    ] {
        let wrong = trust.verify(&signature, topic, &alice, PAYLOAD.as_bytes(), night()).unwrap_err();
        let expected = format!("the signature is for \"{TOPIC}\", and the command came on \"{topic}\"");
        assert!(wrong.to_string().starts_with(&expected), "{wrong}");
    }
    for payload in ["", "{}", &PAYLOAD.replace("1.5", "1.6"), &format!("{PAYLOAD} ")] {
        let wrong = trust.verify(&signature, TOPIC, &alice, payload.as_bytes(), night()).unwrap_err();
        assert!(wrong.to_string().contains("does not belong to this payload"), "{wrong}");
    }
}

#[test]
fn nobody_signs_for_somebody_else() {
    let site = Site::new();
    let trust = site.trust(&[]);
    let mallory = site.client("mallory");
    refused(&trust, &mallory.sign(TOPIC, PAYLOAD), "is that of \"mallory\", and the command came as alice");
    // Her certificate with his key.
    let stolen = Client { chain: site.client("alice").chain, ..mallory };
    refused(&trust, &stolen.sign(TOPIC, PAYLOAD), "does not belong to this payload and the key of alice");
    for name in ["alice\u{1b}[31m", "alice\0", "Alice", "alice ", "al\u{202e}ice", ""] {
        refused(&trust, &site.client(name).sign(TOPIC, PAYLOAD), "and the command came as alice");
    }
    let twice = site.client_with("alice", &KeyPair::generate().unwrap(), |params| {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "mallory");
    });
    refused(&trust, &twice.sign(TOPIC, PAYLOAD), "has 2 common names: expected one, \"alice\"");
    let none = site.client_with("alice", &KeyPair::generate().unwrap(), |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
    });
    refused(&trust, &none.sign(TOPIC, PAYLOAD), "has 0 common names");
}

#[test]
fn the_header_chooses_no_algorithm() {
    let site = Site::new();
    let (trust, good) = (site.trust(&[]), site.client("alice").sign(TOPIC, PAYLOAD));
    for alg in ["none", "None", "HS256", "ES384", "RS256", "EdDSA", ""] {
        let other = with_header(&good, |header| header["alg"] = json!(alg));
        let expected = format!("the signature is \"{alg}\", and a key like that of alice makes ES256");
        refused(&trust, &other, &expected);
    }
    // Without a signature, as RFC 7515 has it for "none".
    let (header, _) = good.split_once("..").unwrap();
    refused(&trust, &format!("{header}.."), "does not belong");
    // The public key as the secret of an HMAC.
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &site.client("alice").chain[0]);
    let confused = with_header(&good, |header| header["alg"] = json!("HS256"));
    let (header, _) = confused.split_once("..").unwrap();
    let message = super::jws::message(header, PAYLOAD.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, &message));
    refused(&trust, &format!("{header}..{tag}"), "makes ES256");
}

#[test]
fn the_authority_and_its_list_decide_whose_certificates_count() {
    let (site, other) = (Site::new(), Site::new());
    let trust = site.trust(&[]);
    refused(&trust, &other.client("alice").sign(TOPIC, PAYLOAD), "was not signed by the authority");

    let with_serial = |params: &mut rcgen::CertificateParams| {
        params.serial_number = Some(SerialNumber::from(7_u64));
    };
    let alice = site.client_with("alice", &KeyPair::generate().unwrap(), with_serial);
    assert_eq!(verified(&site.trust(&[8]), &alice.sign(TOPIC, PAYLOAD)), "");
    refused(&site.trust(&[8, 7]), &alice.sign(TOPIC, PAYLOAD), "the certificate of alice was revoked");

    let foreign = Trust::new(&[site.issuer.der().clone()], &[other.list(&[]).der().clone()]).unwrap();
    assert_ne!(verified(&foreign, &alice.sign(TOPIC, PAYLOAD)), "");
}

#[test]
fn a_certificate_must_be_a_clients_and_valid_by_the_bridges_clock() {
    let site = Site::new();
    let trust = site.trust(&[]);
    let refuses = |change: &dyn Fn(&mut rcgen::CertificateParams), expected: &str| {
        let alice = site.client_with("alice", &KeyPair::generate().unwrap(), change);
        refused(&trust, &alice.sign(TOPIC, PAYLOAD), expected);
    };
    refuses(&|params| params.not_after = date_time_ymd(2026, 11, 30), "of alice has expired");
    refuses(&|params| params.not_before = date_time_ymd(2026, 12, 1), "of alice is not valid yet");
    refuses(
        &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        "is not for clients: expected the extended key usage clientAuth",
    );
    refuses(&|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement], "may not sign");
    refuses(
        &|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        "the certificate of alice is refused",
    );
    let late = Utc::parse("2029-06-01T00:00:00Z").unwrap();
    let (alice, signature) = (Identity::new("alice").unwrap(), site.client("alice").sign(TOPIC, PAYLOAD));
    let wrong = trust.verify(&signature, TOPIC, &alice, PAYLOAD.as_bytes(), late).unwrap_err();
    assert!(wrong.to_string().contains("list of revoked certificates has expired"), "{wrong}");
}

#[test]
fn an_intermediate_authority_needs_a_list_of_its_own() {
    let site = Site::new();
    let dome = site.intermediate();
    let mut alice = dome.client("alice");
    alice.chain.push(dome.issuer.der().clone());
    refused(&site.trust(&[]), &alice.sign(TOPIC, PAYLOAD), "has no list of the authority that signed it");
    let lists = [site.list(&[]).der().clone(), dome.list(&[]).der().clone()];
    let trust = Trust::new(&[site.issuer.der().clone()], &lists).unwrap();
    assert_eq!(verified(&trust, &alice.sign(TOPIC, PAYLOAD)), "");
}

#[test]
fn a_text_that_is_no_signature_is_told_what_one_is() {
    let site = Site::new();
    let trust = site.trust(&[]);
    let alice = site.client("alice");
    let good = alice.sign(TOPIC, PAYLOAD);
    let (header, tag) = good.split_once("..").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(tag).unwrap();
    let attached = format!("{header}.{}.{tag}", URL_SAFE_NO_PAD.encode(PAYLOAD));
    for (text, expected) in [
        ("", "is no JWS with detached content: expected BASE64URL(header)..BASE64URL(signature)"),
        (attached.as_str(), "is no JWS with detached content"),
        (&good[..good.len() - 1], "has a signature that is not base64url"),
        (&format!("{header}..{}", URL_SAFE_NO_PAD.encode(&bytes[..63])), "does not belong to this payload"),
        (&format!("{header}..{}", URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat())), "does not belong"),
        (&good[1..], "has a header that"),
        (&format!("{good}="), "has a signature that is not base64url"),
        (&format!("{good}\n"), "has a signature that is not base64url"),
        (&format!("..{tag}"), "has a header that cannot be used"),
        (&"A".repeat(33 * 1024), "has 33792 bytes: expected 32768 at most"),
    ] {
        refused(&trust, text, expected);
    }
    type Change = fn(&mut Value);
    let headers: [(Change, &str); 8] = [
        (|it| it["crit"] = json!(["exp"]), "unknown field `crit`"),
        (|it| it["b64"] = json!(false), "unknown field `b64`"),
        (|it| it["jwk"] = json!({"kty": "oct"}), "unknown field `jwk`"),
        (|it| it["typ"] = json!("JWT\u{1b}"), "has the type \"JWT\\u{1b}\": expected \"obsbus-command\""),
        (|it| it["x5c"] = json!([]), "has no certificate: expected x5c"),
        (|it| it["x5c"] = json!(["AAAA"]), "is not valid X.509"),
        (|it| it["x5c"] = json!(["A_"]), "is not base64 (with padding) of DER"),
        (|it| *it = json!([]), "has a header that cannot be used"),
    ];
    for (change, expected) in headers {
        refused(&trust, &with_header(&good, change), expected);
    }
    let twice =
        format!(r#"{{"alg":"none","alg":"ES256","typ":"obsbus-command","topic":"{TOPIC}","x5c":[]}}"#);
    let twice = format!("{}..{tag}", URL_SAFE_NO_PAD.encode(twice));
    refused(&trust, &twice, "duplicate field `alg`");
    let crowd = vec![STANDARD.encode(&alice.chain[0]); 7];
    refused(&trust, &with_header(&good, |it| it["x5c"] = json!(crowd)), "x5c has 7 certificates");
}

#[test]
fn files_that_prove_nothing_are_said() {
    let site = Site::new();
    let folder = tempfile::tempdir().unwrap();
    let files =
        TrustFiles { authority: folder.path().join("ca.pem"), revoked: folder.path().join("crl.pem") };
    let problem = || files.read().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(problem().ends_with("ca.pem does not exist"), "{}", problem());
    std::fs::write(&files.authority, "").unwrap();
    std::fs::write(&files.revoked, site.list(&[]).pem().unwrap()).unwrap();
    assert!(problem().contains("ca.pem holds no usable certificate of an authority"), "{}", problem());
    std::fs::remove_file(&files.revoked).unwrap();
    std::fs::write(&files.authority, site.issuer.pem()).unwrap();
    let expected = "crl.pem does not exist; expected the list that `obsbus identity crl` makes";
    assert!(problem().ends_with(expected), "{}", problem());
    std::fs::write(&files.revoked, site.issuer.pem()).unwrap();
    assert!(problem().contains("crl.pem holds no list of revoked certificates"), "{}", problem());
    // An intermediate authority has another name.
    std::fs::write(&files.revoked, site.intermediate().list(&[]).pem().unwrap()).unwrap();
    assert!(problem().contains("crl.pem was not signed by the authority"), "{}", problem());
    std::fs::write(&files.revoked, site.list(&[]).pem().unwrap()).unwrap();
    assert_eq!(problem(), "");
}

#[test]
fn ecdsa_agrees_with_rfc_7515_a_3() {
    let message =
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS\
                    9pc19yb290Ijp0cnVlfQ";
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let signature =
        decoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    let x = decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let y = decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let key = [vec![4], x, y].concat();
    assert!(Algorithm::Es256.verifies(&key, message, &signature));
    assert!(!Algorithm::Es256.verifies(&key, &message[1..], &signature));
    assert!(!Algorithm::Es384.verifies(&key, message, &signature));
}

#[test]
fn ed25519_agrees_with_rfc_8037_a_4() {
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let signature =
        decoded("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    let public = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert!(Algorithm::EdDsa.verifies(&public, message, &signature));
    // PKCS#8 (RFC 8410) around the private key of A.1.
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let private = [&head[..], &decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")].concat();
    let key = PrivateKeyDer::try_from(private).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    assert_eq!(Algorithm::of_private(&*key), Some(Algorithm::EdDsa));
    assert_eq!(Algorithm::EdDsa.sign(&*key, message), Some(signature));
}
