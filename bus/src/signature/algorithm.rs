//! The algorithms: one for each kind of key, so that a header can choose none.

use ring::signature as ring_signature;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::x509::SubjectPublicKeyInfo;

/// How a key of one kind signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Es256,
    Es384,
    EdDsa,
    Ps256,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Es256, Self::Es384, Self::EdDsa, Self::Ps256];

    /// The name in a header: RFC 7518, RFC 8037.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
        }
    }

    /// With which a public key verifies.
    pub(super) fn of(key: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let kind = &key.algorithm.algorithm;
        if *kind == OID_SIG_ED25519 {
            return Some(Self::EdDsa);
        }
        if *kind == OID_PKCS1_RSAENCRYPTION {
            return Some(Self::Ps256);
        }
        if *kind != OID_KEY_TYPE_EC_PUBLIC_KEY {
            return None;
        }
        let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
        [(OID_EC_P256, Self::Es256), (OID_NIST_EC_P384, Self::Es384)]
            .into_iter()
            .find_map(|(oid, algorithm)| (oid == curve).then_some(algorithm))
    }

    /// With which a private key signs.
    pub(super) fn of_private(key: &dyn SigningKey) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| key.choose_scheme(&[algorithm.scheme()]).is_some())
    }

    /// Whether `signature` is that of `message` by the key with these bits.
    pub(super) fn verifies(self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let how: &'static dyn VerificationAlgorithm = match self {
            Self::Es256 => &ring_signature::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ring_signature::ECDSA_P384_SHA384_FIXED,
            Self::EdDsa => &ring_signature::ED25519,
            Self::Ps256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
    }

    /// The signature of `message`; `None` if the system has no random numbers.
    pub(super) fn sign(self, key: &dyn SigningKey, message: &[u8]) -> Option<Vec<u8>> {
        let signature = key.choose_scheme(&[self.scheme()])?.sign(message).ok()?;
        match self.half() {
            // RFC 7518, 3.4: both numbers in full length, where TLS has DER.
            Some(half) => fixed(&signature, half),
            None => Some(signature),
        }
    }

    const fn scheme(self) -> SignatureScheme {
        match self {
            Self::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::Es384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            Self::EdDsa => SignatureScheme::ED25519,
            Self::Ps256 => SignatureScheme::RSA_PSS_SHA256,
        }
    }

    /// The bytes of each of the two numbers of an ECDSA signature.
    const fn half(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(32),
            Self::Es384 => Some(48),
            Self::EdDsa | Self::Ps256 => None,
        }
    }
}

/// The two numbers of an ECDSA signature in DER, `half` bytes each.
fn fixed(der: &[u8], half: usize) -> Option<Vec<u8>> {
    let (length, numbers) = der.strip_prefix(&[0x30])?.split_first()?;
    let (r, rest) = number(numbers.get(..usize::from(*length))?, half)?;
    let (s, _) = number(rest, half)?;
    Some([r, s].concat())
}

/// The DER integer at the beginning, in `size` bytes, and what follows it.
fn number(der: &[u8], size: usize) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = der.strip_prefix(&[0x02])?.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let zeros = digits.iter().take_while(|byte| **byte == 0).count();
    let digits = digits.get(zeros..)?;
    let mut number = vec![0; size.checked_sub(digits.len())?];
    number.extend_from_slice(digits);
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_get_their_full_length_whatever_der_leaves_out_or_adds() {
        // 1, and a number whose first bit is set.
        let der = [0x30, 0x08, 0x02, 0x01, 0x01, 0x02, 0x03, 0x00, 0x80, 0x02];
        assert_eq!(fixed(&der, 4), Some(vec![0, 0, 0, 1, 0, 0, 0x80, 2]));
        for wrong in [&der[..9], &der[1..], &[], &[0x30, 0x80]] {
            assert_eq!(fixed(wrong, 4), None, "{wrong:?}");
        }
        assert_eq!(fixed(&der, 1), None);
    }
}
