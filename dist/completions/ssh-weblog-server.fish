# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ssh_weblog_server_global_optspecs
    string join \n config= listen= user= authorized-keys= password-file= host-key= host-certificate= revoked-keys= state-dir= run-as= audit= h/help V/version
end

function __fish_ssh_weblog_server_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ssh_weblog_server_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ssh_weblog_server_using_subcommand
    set -l cmd (__fish_ssh_weblog_server_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l config -d 'File of several users, logs and limits, and of all that is said here (TOML); an example is below' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l listen -d 'Listen on PORT, or on ADDRESS:PORT only; may be repeated; port 0: one that is free [default: 8022]' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l user -d 'Name to log in with; goes with --authorized-keys, --password-file or both, of which either suffices' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l authorized-keys -d 'File of the user\'s public keys, a line each: an id_ed25519.pub will do' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l password-file -d 'File of password hashes, as hash-password makes them: lines NAME:HASH, or a bare hash, which is --user\'s' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l host-key -d 'File of a host key, one of each type; may be repeated; without it a key is made in the state directory' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l host-certificate -d 'File of a certificate of one of the host keys; may be repeated' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l revoked-keys -d 'File of public keys, of users and of CAs, that let nobody in any more' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l state-dir -d 'Directory for the host key [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l run-as -d 'Started as root, become this user once it listens' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -l audit -d 'How the audit log on standard error is written [default: text]' -r -f -a "text\t'Words for people, values by name'
json\t'One object a line'"
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -s V -l version -d 'Print version'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -a "check" -d 'Read a configuration as a start does, and say what is wrong with it'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -a "fingerprint" -d 'Show the host keys as ssh-keygen -l does'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_needs_command" -a "hash-password" -d 'Make of a password what a password file holds of it'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l config -d 'File of several users, logs and limits, and of all that is said here (TOML); an example is below' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l listen -d 'Listen on PORT, or on ADDRESS:PORT only; may be repeated; port 0: one that is free [default: 8022]' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l user -d 'Name to log in with; goes with --authorized-keys, --password-file or both, of which either suffices' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l authorized-keys -d 'File of the user\'s public keys, a line each: an id_ed25519.pub will do' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l password-file -d 'File of password hashes, as hash-password makes them: lines NAME:HASH, or a bare hash, which is --user\'s' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l host-key -d 'File of a host key, one of each type; may be repeated; without it a key is made in the state directory' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l host-certificate -d 'File of a certificate of one of the host keys; may be repeated' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l revoked-keys -d 'File of public keys, of users and of CAs, that let nobody in any more' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l state-dir -d 'Directory for the host key [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l run-as -d 'Started as root, become this user once it listens' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -l audit -d 'How the audit log on standard error is written [default: text]' -r -f -a "text\t'Words for people, values by name'
json\t'One object a line'"
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l config -d 'File of several users, logs and limits, and of all that is said here (TOML); an example is below' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l listen -d 'Listen on PORT, or on ADDRESS:PORT only; may be repeated; port 0: one that is free [default: 8022]' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l user -d 'Name to log in with; goes with --authorized-keys, --password-file or both, of which either suffices' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l authorized-keys -d 'File of the user\'s public keys, a line each: an id_ed25519.pub will do' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l password-file -d 'File of password hashes, as hash-password makes them: lines NAME:HASH, or a bare hash, which is --user\'s' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l host-key -d 'File of a host key, one of each type; may be repeated; without it a key is made in the state directory' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l host-certificate -d 'File of a certificate of one of the host keys; may be repeated' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l revoked-keys -d 'File of public keys, of users and of CAs, that let nobody in any more' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l state-dir -d 'Directory for the host key [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l run-as -d 'Started as root, become this user once it listens' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -l audit -d 'How the audit log on standard error is written [default: text]' -r -f -a "text\t'Words for people, values by name'
json\t'One object a line'"
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand fingerprint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l config -d 'File of several users, logs and limits, and of all that is said here (TOML); an example is below' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l listen -d 'Listen on PORT, or on ADDRESS:PORT only; may be repeated; port 0: one that is free [default: 8022]' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l user -d 'Name to log in with; goes with --authorized-keys, --password-file or both, of which either suffices' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l authorized-keys -d 'File of the user\'s public keys, a line each: an id_ed25519.pub will do' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l password-file -d 'File of password hashes, as hash-password makes them: lines NAME:HASH, or a bare hash, which is --user\'s' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l host-key -d 'File of a host key, one of each type; may be repeated; without it a key is made in the state directory' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l host-certificate -d 'File of a certificate of one of the host keys; may be repeated' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l revoked-keys -d 'File of public keys, of users and of CAs, that let nobody in any more' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l state-dir -d 'Directory for the host key [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]' -r -F
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l run-as -d 'Started as root, become this user once it listens' -r
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -l audit -d 'How the audit log on standard error is written [default: text]' -r -f -a "text\t'Words for people, values by name'
json\t'One object a line'"
complete -c ssh-weblog-server -n "__fish_ssh_weblog_server_using_subcommand hash-password" -s h -l help -d 'Print help (see more with \'--help\')'
