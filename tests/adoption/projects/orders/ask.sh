# ask COMMAND: print the last line that the database answers
ask() {
    printf 'AUTH %s\r\n%s\r\nQUIT\r\n' "$DB_PASSWORD" "$1" |
        busybox nc db 6379 | busybox tr -d '\r' | busybox tail -n 2 | busybox head -n 1
}
