//! The attentions that every bridge may raise. docs/faults.md is made from this table.

bus::concerns! {
    NO_ANSWER = error(
        "no_answer",
        "the serial port is open and the instrument does not answer; the text says how the bridge noticed",
        "is the instrument switched on? is its cable plugged in, at both ends? The bridge goes on asking, and the attention ends by itself"
    );
    PORT_MISSING = error(
        "port_missing",
        "the serial port does not exist, or has disappeared",
        "is the adapter plugged in? `obsbus ports` shows the adapters of this machine; `serial_port` in the settings must be one of their names"
    );
    PORT_DENIED = error(
        "port_denied",
        "the bridge may not open the serial port; the text names the port's owner and the bridge's user",
        "the udev rule must give the port to the group `dialout` with mode 660: `obsbus ports` prints the rule"
    );
    PORT_BUSY = error(
        "port_busy",
        "another program has the serial port",
        "`fuser -v` on the port names it: a second bridge, the predecessor's daemon, ModemManager, a terminal. End that one"
    );
    PORT_FAILED = error(
        "port_failed",
        "the serial port cannot be opened for another reason; the text gives it",
        "unplug the adapter and plug it in again; then `journalctl -k` for what the kernel says of it"
    );
    ACL_OPEN = error(
        "acl_open",
        "the broker lets anybody send commands in anybody's name; the bridge refuses all commands but a stop (31)",
        "on the broker's machine: is `obsbus.acl` in force (`acl_file` in `obsbus.conf`), and is no other listener open? Then `systemctl restart mosquitto`"
    );
    COMMAND_PATH = error(
        "command_path",
        "the bridge does not receive the commands that are sent to it; it tests this every minute",
        "check the lines for this bridge in the broker's `obsbus.acl`, and that the common name of the bridge's certificate is the name there"
    );
    PUBLISH_REFUSED = warning(
        "publish_refused",
        "the broker refuses something that the bridge publishes; the text names the topic and the line that the ACL lacks",
        "add that line to `obsbus.acl` and `systemctl reload mosquitto`; the attention ends when the broker accepts a publish on that topic"
    );
    SECOND_INSTANCE = error(
        "second_instance",
        "a second bridge tries to run on the same topics; the first one stays in charge",
        "stop the second one: the text names its host and process"
    );
    CERTIFICATE_EXPIRING = growing(
        "certificate_expiring",
        "the bridge's certificate expires within 60 days, or has expired",
        "renew it ([identities](identities.md)), then `systemctl reload` the bridge; no restart is needed"
    );
    CLOCK_SKEW = warning(
        "clock_skew",
        "commands of two or more clients were refused for their time, and none has come in time since: the clock of the bridge's machine is probably wrong",
        "`timedatectl` on the bridge's machine. (If the clock of one client is wrong, only that client is told)"
    );
    JOURNAL_FAILED = warning(
        "journal_failed",
        "the bridge cannot write its state directory; the text says why. It goes on working, but a restart now would lose what it should remember",
        "`df` and `ls -ld` on the state directory (`/var/lib/obsbus/...`): disk full, or the wrong owner? The bridge tries again every 15 s and then saves everything"
    );
    MEMORY_DAMAGED = warning(
        "memory_damaged",
        "at its start the bridge could not read what it had saved last; the text says why, and whether an older copy is used. What may have changed since is taken to be on the safe side",
        "check the disk, then what the other attentions say. It is said for 15 minutes"
    );
    JOURNAL_LOST = warning(
        "journal_lost",
        "at its start the bridge could not read some or all of the saved commands, or used an older copy",
        "for 15 minutes (which is as long as the bridge remembers commands, and says this) do not send a command from before the start again with its old id: it may run twice"
    );
    TOO_LARGE = error(
        "too_large",
        "a message is larger than the broker accepts; the text says which, and whether it is published without its oldest part or not at all",
        "`max_packet_size` in `obsbus.conf` must be 65536. If it is, tell the maintainers"
    );
    COMMAND_UNANSWERED = error(
        "command_unanswered",
        "the bridge's controller did not answer a command by its deadline: nobody knows whether it was done. If something may move, a stop was ordered, and motion is refused until standstill is read",
        "look at the instrument. The attention ends when a later command is answered. It should not happen: report it, with the journal"
    );
}
