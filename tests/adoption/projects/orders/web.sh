trap 'exit 0' TERM
httpd -p 8080 -h /www
while true; do sleep 0.2; done
