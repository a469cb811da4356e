# To be sourced in another terminal while the demo runs; sh, bash and zsh understand it.
# It sets what an installation has in /etc/obsbus/client.toml and in everybody's own folder.

export PATH='@PROGRAMS@':"$PATH"

# act_as NAME: from here on you are NAME: alice and ops (may command), bob (the bridges
# refuse), visitor (the broker refuses already).
act_as() {
    demo_identity=$1
    export OBSBUS_CONFIG='@DEMO@'/client-"$1".toml
}
act_as alice

# What `focus` notes for `focus outcome` goes with the demo.
focus() { XDG_STATE_HOME='@DEMO@'/notes command focus "$@"; }

# Where the broker is and who you are; on a real site it is these arguments that you write.
mosquitto_sub() { demo_mosquitto sub "$@"; }
mosquitto_pub() { demo_mosquitto pub -q 1 "$@"; }
demo_mosquitto() {
    demo_program=mosquitto_$1
    shift
    command "$demo_program" -V 5 -h @HOST@ -p @PORT@ \
        --cafile '@DEMO@'/broker/certs/ca.crt \
        --cert '@DEMO@'/broker/certs/clients/"$demo_identity".crt \
        --key '@DEMO@'/broker/certs/clients/"$demo_identity".key \
        "$@"
}
