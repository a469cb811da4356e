//! Users and groups of this host, from its files: names for messages, and the user of a service.
//! Accounts that only a directory service knows are shown by their number.

use std::io;
use std::path::Path;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user, as `/etc/passwd` and `/etc/group` describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
    /// The numbers of its other groups.
    pub groups: Vec<u32>,
}

impl Account {
    /// The user `name`, with the groups `also` in addition to its own; groups that do not exist are
    /// left out.
    #[must_use]
    pub fn find(name: &str, also: &[&str]) -> Option<Self> {
        find(&text("/etc/passwd"), &text("/etc/group"), name, also)
    }
}

impl Account {
    /// Runs `work` with the rights of this user. Only root may do this.
    ///
    /// # Errors
    /// The system does not let a thread adopt these rights.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        // Only that thread's rights change, and it ends here: there is no way back.
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                self.become_it()?;
                Ok(work())
            });
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn become_it(&self) -> io::Result<()> {
        let groups: Vec<Gid> = self.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // The user last: it may not change its groups.
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}

/// The name of a user, or its number.
#[must_use]
pub fn user_name(uid: u32) -> String {
    name(&text("/etc/passwd"), uid)
}

/// The name of a group, or its number.
#[must_use]
pub fn group_name(gid: u32) -> String {
    name(&text("/etc/group"), gid)
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

// In both files the number is the third field.
fn name(table: &str, number: u32) -> String {
    let found = table.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| number.to_string())
}

fn find(passwd: &str, group: &str, name: &str, also: &[&str]) -> Option<Account> {
    let mut user = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter_map(|fields| {
        let [known, _, uid, gid, ..] = fields.as_slice() else { return None };
        (*known == name).then_some((uid.parse().ok()?, gid.parse().ok()?))
    });
    let (uid, gid) = user.next()?;
    let groups = group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter_map(|fields| {
        let [known, _, number, members, ..] = fields.as_slice() else { return None };
        let is_member = members.split(',').any(|member| member == name) || also.contains(known);
        number.parse().ok().filter(|number| is_member && *number != gid)
    });
    Some(Account { name: name.to_owned(), uid, gid, groups: groups.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nobsbus:x:998:997::/:/usr/sbin/nologin\nbroken\n";
    const GROUP: &str = "root:x:0:\ndialout:x:20:alice\nobsbus:x:997:\nweb:x:33:alice,obsbus\nbroken:x\n";

    #[test]
    fn a_user_has_its_own_groups_and_those_that_its_service_adds() {
        let found = find(PASSWD, GROUP, "obsbus", &["dialout", "nowhere"]).unwrap();
        assert_eq!(found, Account { name: "obsbus".to_owned(), uid: 998, gid: 997, groups: vec![20, 33] });
        assert_eq!(find(PASSWD, GROUP, "bus", &[]), None);
    }

    #[test]
    fn a_number_without_a_name_is_shown_as_a_number() {
        assert_eq!((name(PASSWD, 998), name(GROUP, 33)), ("obsbus".to_owned(), "web".to_owned()));
        assert_eq!(name(PASSWD, 1234), "1234");
    }
}
