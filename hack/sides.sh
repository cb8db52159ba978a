# Sourced by the scripts beside it, after steps.sh: runs a suite on a host and in a virtual cluster.

# sides runs it on each side that SIDES names, or else its arguments: host, inside, or both. The script has
# the functions virtual_cluster and run SIDE KUBECONFIG, and the folder $state.
sides() {
    local side names=${SIDES:-$*}
    for side in $names; do
        case $side in
            host) run host "$KUBECONFIG" ;;
            inside)
                step "virtual cluster" virtual_cluster
                run inside "$PWD/$state/inside.kubeconfig"
                ;;
            *)
                echo "SIDES names host and inside, not $side" >&2
                exit 1
                ;;
        esac
    done
}
