complete -c ssh-weblog-cp -s P -d 'Port of sshd on the host, unless SRC or DST names one' -r
complete -c ssh-weblog-cp -s l -d 'So many KiBit a second at the most' -r
complete -c ssh-weblog-cp -s i -d 'File of a private key to log in with; may be repeated' -r
complete -c ssh-weblog-cp -s o -d 'An option by its name in ssh_config(5), as Key=Value; may be repeated' -r
complete -c ssh-weblog-cp -s F -d 'Configuration to read instead of ~/.ssh/config and /etc/ssh/ssh_config; none: no file at all' -r -F
complete -c ssh-weblog-cp -s J -d 'Hosts to connect through, commas between: ann@gate.example:2222' -r
complete -c ssh-weblog-cp -s c -d 'Ciphers, the first is preferred' -r
complete -c ssh-weblog-cp -s r -d 'Directories with all that is in them'
complete -c ssh-weblog-cp -s p -d 'Keep modes and times'
complete -c ssh-weblog-cp -s q -l quiet -d 'No progress, no fingerprint and no notices'
complete -c ssh-weblog-cp -l resume -d 'Go on where a copy was cut off'
complete -c ssh-weblog-cp -l cat -d 'Copy one file by cat, for a host without sftp'
complete -c ssh-weblog-cp -s B -l batch -d 'Never ask for anything: no password, no passphrase, no host key; for cron'
complete -c ssh-weblog-cp -s v -l verbose -d 'Tell the story of the login, and what becomes of each file; more with -vv and -vvv'
complete -c ssh-weblog-cp -s 4 -d 'IPv4 only; of -4 and -6 the last counts'
complete -c ssh-weblog-cp -s 6 -d 'IPv6 only'
complete -c ssh-weblog-cp -s C -d 'Compress'
complete -c ssh-weblog-cp -s h -l help -d 'Print help'
complete -c ssh-weblog-cp -s V -l version -d 'Print version'
