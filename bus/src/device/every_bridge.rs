//! The attentions that the bridge of any instrument may raise.

crate::concerns! {
    NO_ANSWER = error(
        "no_answer",
        "the serial port is open and the unit does not answer; the text says how the bridge noticed",
        "check that the unit is powered, that its cable is plugged in at both ends, and that serial_baud is the unit's. The bridge goes on asking, and the attention ends by itself"
    );
    PORT_MISSING = error(
        "port_missing",
        "the serial port does not exist, or has disappeared",
        "plug the adapter in; if it is, enter the right `serial_port`: `obsbus ports` shows the adapters of the machine"
    );
    PORT_DENIED = error(
        "port_denied",
        "the bridge may not open the serial port; the text names the port's owner and the bridge's user",
        "install the udev rule that gives the port to the group dialout with mode 660 (`obsbus ports` prints it), and unplug and plug the adapter; the bridge's user must be in that group"
    );
    PORT_BUSY = error(
        "port_busy",
        "another program has the serial port",
        "end the program that holds the port: `fuser -v` names it (a second bridge, the predecessor's daemon, ModemManager, a terminal)"
    );
    PORT_FAILED = error(
        "port_failed",
        "the serial port cannot be opened for another reason; the text gives it",
        "check the adapter (`journalctl -k` has what the kernel says of it), and `serial_port` in the bridge's settings; unplug it and plug it in again"
    );
    ACL_OPEN = error(
        "acl_open",
        "the broker lets anybody send commands in anybody's name; the bridge refuses all commands (31) but a stop, and those of verbs that need a signature",
        "name the access list in the broker's configuration (`acl_file`), remove lines in it that grant more than `pattern write +/+/command/%u/+`, then `systemctl restart mosquitto`; if the text speaks of wills, the broker cannot be used as it is: Mosquitto applies its access list to wills, too"
    );
    COMMAND_PATH = error(
        "command_path",
        "the bridge does not receive the commands that are sent to it; it tests this every minute",
        "compare the bridge's lines in the access list with the shipped ones (`obsbus acl`), then `systemctl reload mosquitto`; the common name of the bridge's certificate must be the name there"
    );
    PUBLISH_REFUSED = warning(
        "publish_refused",
        "the broker refuses something that the bridge publishes; the text names the topic and the line that the access list lacks",
        "add the line to the access list, then `systemctl reload mosquitto`; the attention ends when the broker accepts a publish on that topic"
    );
    SECOND_INSTANCE = error(
        "second_instance",
        "a second bridge tries to run on the same topics; the first one stays in charge",
        "stop the second bridge, on the host that the text names"
    );
    CERTIFICATE_EXPIRING = growing(
        "certificate_expiring",
        "the bridge's certificate expires within 60 days, or has expired",
        "renew the bridge's certificate (`obsbus identity renew`), then `systemctl reload` its service; no restart is needed"
    );
    BROKER_CERTIFICATE_EXPIRING = growing(
        "broker_certificate_expiring",
        "the broker's certificate, as the broker showed it at the last connect, expires within 60 days, or has expired: nobody can connect then",
        "on the authority's machine `obsbus identity renew broker`, then `systemctl reload mosquitto` on the broker's; `systemctl reload` of the bridge looks at it again"
    );
    AUTHORITY_EXPIRING = growing(
        "authority_expiring",
        "the authority's certificate (`ca_file`) expires within 60 days, or has expired: every certificate that it signed ends with it",
        "make a new authority in good time, and issue all certificates again (docs/recovery.md)"
    );
    SIGNATURES_UNCHECKED = error(
        "signatures_unchecked",
        "the bridge cannot verify signatures, so it refuses the commands that need one (35); the text says why. A stop needs none",
        "put the authority's list of revoked certificates where `commands.crl_file` names it (`obsbus identity crl`, docs/signatures.md); the bridge sees it within seconds"
    );
    CLOCK_SKEW = warning(
        "clock_skew",
        "commands of two or more clients were refused for their time, and none has come in time since. (If the clock of one client is wrong, only that client is told)",
        "set the clock of the bridge's machine (`timedatectl`)"
    );
    JOURNAL_FAILED = warning(
        "journal_failed",
        "the bridge cannot write its state directory; the text says why. It goes on working, but a restart now would lose what it should remember",
        "free the disk, or make the state directory writable for the bridge's user; the bridge tries again every 15 s, and then saves by itself"
    );
    MEMORY_DAMAGED = warning(
        "memory_damaged",
        "at its start the bridge could not read what it had saved last; the text says why, and whether an older copy is used. What may have changed since is taken to be on the safe side. It is said for 15 minutes",
        "check the disk of the bridge's machine, and what the other attentions say"
    );
    JOURNAL_LOST = warning(
        "journal_lost",
        "at its start the bridge could not read some or all of the saved commands, or used an older copy. It is said for 15 minutes, as long as the bridge remembers commands",
        "do not send a command of before the start again under its id, because it may run twice; check the disk"
    );
    TOO_LARGE = error(
        "too_large",
        "a message is larger than the broker accepts; the text says which, and whether it is published without its oldest part or not at all",
        "`max_packet_size` in `obsbus.conf` must be 65536; if it is, tell the maintainers (fewer channels in the bridge's settings help)"
    );
    COMMAND_UNANSWERED = error(
        "command_unanswered",
        "the bridge's controller did not answer a command by its deadline: nobody knows whether it was done. If something may move, a stop was ordered, and motion is refused until standstill is read. It should not happen",
        "look at the instrument; report it, with the journal. The attention ends when a later command is answered"
    );
}
