trap 'exit 0' TERM
. /ask.sh
while true; do
    order=$(ask "RPOP $QUEUE")
    case $order in
        '' | '$-1') sleep 0.2 ;;
        *) ask "SET order:$order packed" && echo "packed $order" ;;
    esac
done
