//! An authority and its clients, for tests.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Signer, Trust};

/// An authority of 2023 to 2030.
pub(crate) struct Site {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Somebody's certificates, its own first, and key.
pub(crate) struct Client {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Client {
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(&self.chain, &self.key).unwrap()
    }

    pub(crate) fn sign(&self, topic: &str, payload: &str) -> String {
        self.signer().sign(topic, payload.as_bytes()).unwrap()
    }
}

pub(super) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Site {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(authority("observatory"), key).unwrap() }
    }

    /// An authority that this one has signed.
    pub(super) fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::signed_by(authority("dome"), key, &self.issuer).unwrap() }
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        self.client_with(name, &KeyPair::generate().unwrap(), |_| ())
    }

    pub(super) fn client_with(
        &self,
        name: &str,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Client {
        let mut params = params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Client { chain: vec![certificate.der().clone()], key }
    }

    /// Its list, with the certificates of these serial numbers, until 2029.
    pub(super) fn list(&self, serials: &[u64]) -> rcgen::CertificateRevocationList {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2023, 6, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2023, 1, 1),
            next_update: date_time_ymd(2029, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap()
    }

    /// What a bridge knows of it, with these serial numbers revoked.
    pub(crate) fn trust(&self, revoked: &[u64]) -> Trust {
        Trust::new(&[self.issuer.der().clone()], &[self.list(revoked).der().clone()]).unwrap()
    }
}
