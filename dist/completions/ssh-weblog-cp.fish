complete -c ssh-weblog-cp -s P -d 'Port of the host' -r
complete -c ssh-weblog-cp -s i -d 'File of a private key; may be repeated' -r
complete -c ssh-weblog-cp -s l -d 'So many KiBit a second at the most' -r
complete -c ssh-weblog-cp -s F -d 'File to be read instead of ~/.ssh/config and /etc/ssh/ssh_config; none for none' -r -F
complete -c ssh-weblog-cp -s J -d 'Hosts to go through' -r
complete -c ssh-weblog-cp -s o -d 'An option by its name in ssh_config(5), as Key=Value; may be repeated' -r
complete -c ssh-weblog-cp -s c -d 'Ciphers, the first is preferred' -r
complete -c ssh-weblog-cp -s r -d 'Directories with all that is in them'
complete -c ssh-weblog-cp -s p -d 'Keep modes and times'
complete -c ssh-weblog-cp -s q -l quiet -d 'No progress, no fingerprint and no notices'
complete -c ssh-weblog-cp -l resume -d 'Go on where a copy was cut off'
complete -c ssh-weblog-cp -l cat -d 'Copy one file by cat, for a host without sftp'
complete -c ssh-weblog-cp -s B -l batch -d 'Never ask for anything'
complete -c ssh-weblog-cp -s v -l verbose -d 'Tell the story of the login, and what becomes of each file; more with -vv and -vvv'
complete -c ssh-weblog-cp -s 4 -d 'IPv4 only'
complete -c ssh-weblog-cp -s 6 -d 'IPv6 only'
complete -c ssh-weblog-cp -s C -d 'Compress'
complete -c ssh-weblog-cp -s h -l help -d 'Print help'
complete -c ssh-weblog-cp -s V -l version -d 'Print version'
