//! What reaches a bridge as the signature of a command, from anybody. Nothing is admitted but what
//! `ops` has signed for this topic and this payload; whatever is refused is refused in one short line.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bus::clock::Now;
use bus::command::{Desk, Gate, Output, Signatures};
use bus::incoming::Incoming;
use bus::message::Code;
use bus::signature::{Signer, Trust};
use ring::signature::Ed25519KeyPair;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::core::FOCUSER;
use crate::{lines, start};

const TYPE: &str = "obsbus-command";

thread_local! {
    static SITE: Site = Site::new().unwrap_or_else(|| panic!("the fixtures are good"));
}

/// An authority, its list, and `ops` with the key.
struct Site {
    trust: Trust,
    certificate: CertificateDer<'static>,
    signer: Signer,
    key: Ed25519KeyPair,
}

/// The first byte says what the rest is.
pub(crate) fn signatures(bytes: &[u8]) {
    let [what, rest @ ..] = bytes else { return };
    SITE.with(|site| match what % 6 {
        0 => site.text(rest),
        1 => site.texts(rest),
        2 => site.header(rest),
        3 => site.certificate(rest),
        4 => site.chain(rest),
        _ => site.payload(rest),
    });
}

impl Site {
    fn new() -> Option<Self> {
        let authority = CertificateDer::from_pem_slice(include_bytes!("../fixtures/authority.pem")).ok()?;
        let list =
            CertificateRevocationListDer::from_pem_slice(include_bytes!("../fixtures/revoked.pem")).ok()?;
        let certificate = CertificateDer::from_pem_slice(include_bytes!("../fixtures/ops.pem")).ok()?;
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/ops.key")).ok()?;
        Some(Self {
            trust: Trust::new(&[authority], &[list]).ok()?,
            signer: Signer::new(std::slice::from_ref(&certificate), &key).ok()?,
            key: Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der()).ok()?,
            certificate,
        })
    }

    /// Any text as the only signature: but for the one that `ops` has made none counts.
    fn text(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let request = Request::by("ops");
        let is_its = self.signer.sign(&request.topic, &request.payload).is_some_and(|good| good == text);
        self.deliver(request, vec![text], is_its);
    }

    /// Any texts, a line each, and that of `ops`: several count for nothing.
    fn texts(&self, bytes: &[u8]) {
        let mut texts: Vec<_> =
            lines(bytes).take(4).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let request = Request::by("ops");
        texts.extend(self.signer.sign(&request.topic, &request.payload));
        self.deliver(Request::by("scheduler"), texts.clone(), false);
        self.deliver(request, texts, false);
    }

    /// Any header, signed by `ops`: it names the algorithm, the purpose, the topic and the signer.
    fn header(&self, bytes: &[u8]) {
        let header: Value = serde_json::from_slice(bytes).unwrap_or_default();
        for by in ["ops", "scheduler"] {
            let request = Request::by(by);
            let says = |at: &str, word: &str| header.pointer(at).and_then(Value::as_str) == Some(word);
            let may_be = by == "ops"
                && says("/alg", "EdDSA")
                && says("/typ", TYPE)
                && says("/topic", &request.topic)
                && says("/x5c/0", &STANDARD.encode(&self.certificate));
            let text = self.signed(bytes, &request.payload);
            let is_admitted = self.admits(request, vec![text]);
            assert!(!is_admitted || may_be, "a header that says something else was admitted");
        }
    }

    /// Any bytes as the signer's certificate: only the very certificate of `ops` proves who it is.
    fn certificate(&self, bytes: &[u8]) {
        self.with_chain(&[bytes], bytes == self.certificate.as_ref());
    }

    /// Any bytes as a second certificate: it may not be read, and changes nothing if it is.
    fn chain(&self, bytes: &[u8]) {
        self.with_chain(&[&self.certificate, bytes], true);
        self.with_chain(&[bytes, &self.certificate], bytes == self.certificate.as_ref());
    }

    fn with_chain(&self, chain: &[&[u8]], may_be: bool) {
        let request = Request::by("ops");
        let x5c: Vec<_> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        let header = json!({ "alg": "EdDSA", "typ": TYPE, "topic": request.topic, "x5c": x5c });
        let text = self.signed(header.to_string().as_bytes(), &request.payload);
        let is_admitted = self.admits(request, vec![text]);
        assert!(!is_admitted || may_be, "a certificate of somebody else was admitted");
    }

    /// Any payload, signed by `ops`: it must tell this request from every other one. Without its
    /// signature, or with one byte more, nothing is admitted.
    fn payload(&self, bytes: &[u8]) {
        let request = Request { payload: bytes.to_vec(), ..Request::by("ops") };
        let Some(text) = self.signer.sign(&request.topic, bytes) else { return };
        let is_told_apart = serde_json::from_slice::<Value>(bytes)
            .is_ok_and(|payload| payload.get("id").is_some() && payload.get("ts").is_some());
        self.deliver(request.clone(), Vec::new(), false);
        let longer = Request { payload: [bytes, b" "].concat(), ..request.clone() };
        self.deliver(longer, vec![text.clone()], false);
        let is_admitted = self.admits(request, vec![text]);
        assert!(!is_admitted || is_told_apart, "a payload without id and time was admitted");
    }

    /// The text of a signature with this header, made with the key of `ops`.
    fn signed(&self, header: &[u8], payload: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(header);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{header}..{signature}")
    }

    fn deliver(&self, request: Request, signatures: Vec<String>, is_its: bool) {
        assert_eq!(
            self.admits(request, signatures),
            is_its,
            "admitted, and is not that of ops; or the reverse"
        );
    }

    /// Whether a bridge that wants signatures runs it. A refusal can be printed.
    fn admits(&self, request: Request, signatures: Vec<String>) -> bool {
        let mut desk = Desk::new(FOCUSER.with(|it| it.desk()));
        desk.set_signatures(Signatures { verbs: ["set"].into(), trust: Ok(self.trust.clone()) });
        desk.set_gate(Gate::Ready);
        let (count, now) = (signatures.len(), now());
        let Request { topic, payload } = request;
        let incoming = Incoming {
            topic,
            payload,
            retain: false,
            response_topic: None,
            correlation: None,
            signatures,
            received: now,
            stalled: false,
        };
        desk.receive(&incoming, now, |_, _| Ok(None));
        let mut is_admitted = false;
        while let Some(output) = desk.poll_output() {
            match output {
                Output::Admit(..) => is_admitted = true,
                Output::Save(number) => desk.journalled(number),
                Output::Post(post) => {
                    let words = &post.reply.message;
                    assert!(!words.chars().any(char::is_control) && words.len() < 1_000, "{words:?}");
                    assert!(count > 0 || post.reply.code != Some(Code::BadSignature), "{words}");
                }
                _ => {}
            }
        }
        is_admitted
    }
}

/// A command to move.
#[derive(Clone)]
struct Request {
    topic: String,
    payload: Vec<u8>,
}

impl Request {
    fn by(sender: &str) -> Self {
        let base = FOCUSER.with(|it| it.desk()).base;
        let payload = format!(r#"{{"id":"a","ts":"{}","mm":1.5}}"#, now().utc).into_bytes();
        Self { topic: format!("{base}/command/{sender}/set"), payload }
    }
}

/// When the certificates are valid.
fn now() -> Now {
    const MONTH: std::time::Duration = std::time::Duration::from_secs(31 * 86_400);
    start().after(MONTH)
}
