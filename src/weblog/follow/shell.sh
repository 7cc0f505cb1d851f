# Follows $f. Marks stand in the stream as RS, $n, a blank, what they say, LF; all else is the log's. Once a second:
# N inode offset size: this file is read on from there     T, R inode 0 size: the same file, emptied or written anew
# O: bytes of the file before follow    C: of this one again    E: no more of the one before    H size: alive
# W: no such file    D: not for us    X: no regular file    L: where to go on is not found    S: begun
# Q: that is all, where only one look was asked for ($once)
LC_ALL=C; export LC_ALL
m() { printf '\036%s %s\n' "$n" "$*" || exit; }
id() { set -f; set -- $(ls -Ldlni -- "$1" 2>/dev/null); set +f; i=$1 s=$6; [ -n "$s" ]; }
top() { { h=$(dd bs=1024 count=1 <"$1"); } 2>/dev/null; }
is() { [ -f "$1" ] && [ -r "$1" ] && id "$1"; }
take() { is "$1" && j=$i && { command exec 3<"$1"; } 2>/dev/null && id "$1" && [ "$i" = "$j" ]; }
seek() { # 3, by reading two blocks at most; a count of 0 is not the same to every dd
  q=$(($1/65536)) r=$(($1%65536))
  [ $q -eq 0 ] || dd bs=65536 skip=$((q-1)) count=1 <&3 >/dev/null 2>&1
  [ $r -eq 0 ] || dd bs=$r count=1 <&3 >/dev/null 2>&1
}
old() { [ $k -eq 0 ] || { m O; cat <&4; k=$((k-1)); [ $k -gt 0 ] || { m E; exec 4<&-; }; m C; }; }
m S; c= w= k=0 t=0
for g in "$f" "$f".* "$f"-*; do
  [ -n "$want" ] && take "$g" && [ "$i" = "$want" ] && [ "$s" -ge "$off" ] || continue
  seek "$off"; top "$g"; c=$i p=$s; m N "$i" "$off" "$s"; break
done
[ -n "$c" ] || [ -z "$want" ] || m L
while :; do
  if is "$f"; then
    w=
    if [ "$i" != "$c" ]; then # another file: the one before is read to its end, and some seconds more
      [ -z "$c" ] || { old; cat <&3; exec 4<&3; c= k=10; }
      if take "$f"; then
        a=0; [ "$s" -le "${back:-$s}" ] || a=$((s-back))
        seek $a; top "$f"; c=$i p=$s back=; m N "$i" "$a" "$s"
      fi
    else
      o=$h x=; top "$f"; [ "$s" -ge "$p" ] || x=T; p=$s
      case $h in "$o"*) ;; *) x=${x:-R} ;; esac
      [ -z "$x" ] || ! take "$f" || { top "$f"; c=$i p=$s; m $x "$i" 0 "$s"; }
    fi
  else
    x=W; [ ! -e "$f" ] || x=D; [ ! -e "$f" ] || [ -f "$f" ] || x=X; [ $x = D ] || back=
    [ $x = "$w" ] || m $x; w=$x
  fi
  old
  [ -z "$c" ] || cat <&3
  [ -z "$once" ] || [ -z "$c$w" ] || { m Q; exit; }
  t=$((t+1)); [ $t -lt 8 ] || { t=0; m H "${s:-0}"; } # and whoever writes to a client that is gone ends
  sleep 1 || exit
done
