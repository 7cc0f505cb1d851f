complete -c ssh-weblog -s p -d 'Port of sshd on the hosts, unless a SOURCE names one' -r
complete -c ssh-weblog -s l -d 'User to log in as, unless a SOURCE names one' -r
complete -c ssh-weblog -s i -d 'File of a private key to log in with; may be repeated' -r
complete -c ssh-weblog -s o -d 'An option by its name in ssh_config(5), as Key=Value; may be repeated' -r
complete -c ssh-weblog -s F -d 'Configuration to read instead of ~/.ssh/config and /etc/ssh/ssh_config; none: no file at all' -r -F
complete -c ssh-weblog -s J -d 'Hosts to connect through, commas between: ann@gate.example:2222' -r
complete -c ssh-weblog -s n -d 'Begin with the last LINES lines of each log, with +N at line N [default: 0, with --no-follow +1]' -r
complete -c ssh-weblog -l log-format -d 'Format of the lines: common, combined, vhost, nginx, caddy, traefik, json, alb, cloudfront, w3c or s3, or the server\'s own LogFormat or log_format; without it, it is found out from each log\'s first lines' -r
complete -c ssh-weblog -l via -d 'Read logs on hosts in this way only; without it in the first of these that a host has' -r -f -a "sftp\t'By handles and offsets: nothing is lost'
sh\t'By a follower in POSIX sh'
tail\t'By the host\'s `tail -F`'"
complete -c ssh-weblog -l state -d 'Keep in FILE where each log was read to, and go on there the next time; a last line without its end is left for that' -r -F
complete -c ssh-weblog -l retry -d 'Try a connection N times more; without it the first is tried once, and one that was lost for ever' -r
complete -c ssh-weblog -l show -d 'Lines for people [default: referrers]' -r -f -a "referrers\t'`referrer  --> resource`, hits with status 200 and a referrer'
hits\t'Time, status, method, resource, size and referrer of every hit'
raw\t'Each line as it stands, parsed or not; with a filter those that parse and pass'"
complete -c ssh-weblog -l format -d 'A line of your own: {time} {source} {offset} {seq} {client} {user} {host} {method} {resource} {path} {query} {protocol} {status} {size} {referrer} {agent} {duration} {forwarded_for} {line}; {{ and }} for braces, \\t and \\n' -r
complete -c ssh-weblog -l anonymize -d 'Cut so many last bits of client addresses (16/80 if none are named), users and query strings' -r
complete -c ssh-weblog -l status -d 'Statuses from 100 to 599: 404,5xx,400-499' -r
complete -c ssh-weblog -l method -d 'Methods: GET,POST' -r
complete -c ssh-weblog -l vhost -d 'Virtual hosts with their subdomains: shop.example,blog.example' -r
complete -c ssh-weblog -l path -d 'Regular expression that is searched in what was asked for, path and query: ^/cart' -r
complete -c ssh-weblog -l referrer -d 'Regular expression that is searched in the referrer' -r
complete -c ssh-weblog -l agent -d 'Regular expression that is searched in the agent' -r
complete -c ssh-weblog -l from -d 'Client addresses: 192.0.2.7,2001:db8::/32' -r
complete -c ssh-weblog -l site -d 'Hosts of your own, with their subdomains: their pages are no referrers; may be repeated' -r
complete -c ssh-weblog -l bots -d 'Hits of programs: their agent holds bot, crawl, spider, slurp or feed, is curl, wget, python-requests or Go-http-client, or is empty' -r -f -a "hide\t'Their hits are left out'
only\t'Only their hits are left'"
complete -c ssh-weblog -l since -d 'From this time on: 2h, 1h30m, 12:00, 2026-03-01, \'2026-03-01 12:00\', 2026-03-01T12:00:00Z, @1772323200' -r
complete -c ssh-weblog -l until -d 'Before this time; the watch ends when it comes' -r
complete -c ssh-weblog -l every -d 'Report again and again, after each DURATION: 10s' -r
complete -c ssh-weblog -l top -d 'So many names in each top of a report; 10 if it is not given' -r
complete -c ssh-weblog -l over -d 'End with status 3, and say why, once there are more hits than N a second (N/m: a minute, N/h: an hour)' -r
complete -c ssh-weblog -l for -d 'How far back --over looks; 60s if it is not given' -r
complete -c ssh-weblog -l stop-on -d 'End with status 0 when this path is requested' -r
complete -c ssh-weblog -l seconds -d 'With demo: end after N seconds' -r
complete -c ssh-weblog -s 4 -d 'IPv4 only; of -4 and -6 the last counts'
complete -c ssh-weblog -s 6 -d 'IPv6 only'
complete -c ssh-weblog -l batch -d 'Never ask for anything: no password, no passphrase, no host key; for cron'
complete -c ssh-weblog -l no-follow -d 'End at the end of the logs; without it new lines are waited for'
complete -c ssh-weblog -l with-rotated -d 'Begin with the rotated files of each log: .1, .2.gz, -20260301 and so on'
complete -c ssh-weblog -l sorted -d 'Show lines of several logs in the order of their times, as far as they are a second apart'
complete -c ssh-weblog -l json -d 'One JSON object a hit; with --stats one object in all'
complete -c ssh-weblog -l dashboard -d 'Rates, tops and live lines on the whole terminal'
complete -c ssh-weblog -l stats -d 'Report hits, bytes, statuses and tops at the end, in place of lines'
complete -c ssh-weblog -s q -l quiet -d 'No fingerprint and no notices; of -q and -v the last counts'
complete -c ssh-weblog -s v -l verbose -d 'Tell of formats, lines that are not understood and what was read; -vv, -vvv: of the login too'
complete -c ssh-weblog -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ssh-weblog -s V -l version -d 'Print version'
