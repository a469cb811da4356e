//! Files of authorities and lists of revoked certificates, as people change them.

use std::path::Path;

use rcgen::{KeyPair, SerialNumber};

use super::super::fixture::{Client, Site};
use super::super::{Trust, TrustFiles};
use super::{PAYLOAD, TOPIC, verified};

/// Made by OpenSSL without `-crlexts`, as its manual shows it.
const VERSION_1: &str = include_str!("../fixtures/version-1.pem");
const ITS_AUTHORITY: &str = include_str!("../fixtures/authority.pem");

fn read(folder: &Path, authorities: &[String], lists: &[String]) -> Result<Trust, String> {
    let files = TrustFiles { authority: folder.join("ca.pem"), revoked: folder.join("crl.pem") };
    std::fs::write(&files.authority, authorities.concat()).unwrap();
    std::fs::write(&files.revoked, lists.concat()).unwrap();
    files.read().map_err(|error| error.to_string())
}

fn list(site: &Site, serials: &[u64]) -> String {
    site.list(serials).pem().unwrap()
}

fn alice(site: &Site, serial: u64) -> Client {
    site.client_with("alice", &KeyPair::generate().unwrap(), |params| {
        params.serial_number = Some(SerialNumber::from(serial));
    })
}

fn verdict(trust: &Trust, client: &Client) -> String {
    verified(trust, &client.sign(TOPIC, PAYLOAD))
}

/// The first that names an authority would count, and hide whom the other one names.
#[test]
fn two_lists_of_one_authority_are_refused() {
    let (site, folder) = (Site::new(), tempfile::tempdir().unwrap());
    let (old, new) = (list(&site, &[]), list(&site, &[7]));
    for both in [[old.clone(), new.clone()], [new, old]] {
        let problem = read(folder.path(), &[site.issuer.pem()], &both).unwrap_err();
        assert!(problem.contains("crl.pem holds 2 lists of one authority"), "{problem}");
    }
}

/// `obsbus identity init` gives each authority of a site the same name.
#[test]
fn the_list_of_an_authority_that_was_made_anew_is_not_that_of_the_old_one() {
    let (old, new, folder) = (Site::new(), Site::new(), tempfile::tempdir().unwrap());
    let problem = read(folder.path(), &[old.issuer.pem()], &[list(&new, &[])]).unwrap_err();
    assert!(problem.contains("crl.pem was not signed by the authority"), "{problem}");
}

#[test]
fn while_an_authority_is_replaced_both_vouch_for_their_own_whatever_their_names() {
    let (old, new, folder) = (Site::new(), Site::new(), tempfile::tempdir().unwrap());
    let authorities = [old.issuer.pem(), new.issuer.pem()];
    for lists in [[list(&old, &[7]), list(&new, &[8])], [list(&new, &[8]), list(&old, &[7])]] {
        let trust = read(folder.path(), &authorities, &lists).unwrap();
        assert_eq!((verdict(&trust, &alice(&old, 8)), verdict(&trust, &alice(&new, 7))), Default::default());
        for revoked in [alice(&old, 7), alice(&new, 8)] {
            assert!(verdict(&trust, &revoked).contains("was revoked"), "{}", verdict(&trust, &revoked));
        }
        let stranger = verdict(&trust, &Site::new().client("alice"));
        assert!(stranger.contains("was not signed by the authority"), "{stranger}");
    }
    // An authority without a list vouches for nobody.
    let trust = read(folder.path(), &authorities, &[list(&old, &[])]).unwrap();
    assert_eq!(verdict(&trust, &alice(&old, 7)), "");
    let unknown = verdict(&trust, &alice(&new, 7));
    assert!(unknown.contains("the bridge has no list of the authority that signed it"), "{unknown}");
}

#[test]
fn a_list_that_cannot_be_used_is_not_the_authoritys_fault() {
    let folder = tempfile::tempdir().unwrap();
    let problem = read(folder.path(), &[ITS_AUTHORITY.to_owned()], &[VERSION_1.to_owned()]).unwrap_err();
    assert!(problem.contains("crl.pem cannot be used") && !problem.contains("ca.pem"), "{problem}");
    assert!(problem.ends_with("expected the list that `obsbus identity crl` makes"), "{problem}");
}
