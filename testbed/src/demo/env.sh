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

# What the commands note for `outcome` and keep for completion goes with the demo.
obsbus() { demo_tool obsbus "$@"; }
chiller() { demo_tool chiller "$@"; }
focus() { demo_tool focus "$@"; }
demo_tool() {
    demo_program=$1
    shift
    XDG_STATE_HOME='@DEMO@'/notes XDG_CACHE_HOME='@DEMO@'/cache command "$demo_program" "$@"
}

# Where the broker is and who you are; on a real site it is these arguments that you write.
mosquitto_sub() { demo_mosquitto sub "$@"; }
mosquitto_pub() { demo_mosquitto pub -q 1 "$@"; }
mosquitto_rr() { demo_mosquitto rr -q 1 "$@"; }
demo_mosquitto() {
    demo_program=mosquitto_$1
    shift
    command "$demo_program" -V 5 -h @HOST@ -p @PORT@ \
        --cafile '@DEMO@'/broker/certs/ca.crt \
        --cert '@DEMO@'/broker/certs/clients/"$demo_identity".crt \
        --key '@DEMO@'/broker/certs/clients/"$demo_identity".key \
        "$@"
}
