use crate::{
    seeds,
    support::{STEPS, Shape, World},
};

/// Runs a step, and kills it at a point: after its first record, after its last node, or before its last line.
///
/// A step writes its last line as soon as its input has ended, so its output can't distinguish the last two points.
/// Therefore the last line of its input is held back: until it is killed after its last node, or for good, as the
/// moment to kill it. A step that reads a file has no such input: its last line is then not passed on.
const KILLER: &str = r#"#!/bin/sh
point=$1 nodes=$2
shift 2
folder=$(mktemp -d)
mkfifo "$folder/in" "$folder/out" "$folder/never"
exec 3<&0
case $point,$1 in
first,* | *,talos-image) "$@" <&3 > "$folder/out" & ;;
*) "$@" < "$folder/in" > "$folder/out" & ;;
esac
victim=$!
feed() {
    while IFS= read -r line; do
        case $point,$line in
        end,*'"end":true'*) kill -9 "$victim" ;;
        last,*'"end":true'*) read -r _ < "$folder/never" ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
}
case $point,$1 in
first,* | *,talos-image) feeder= ;;
*) feed <&3 > "$folder/in" & feeder=$! ;;
esac
exec 3<&-
seen=0
while IFS= read -r line; do
    case $point,$line in
    end,*'"end":true'*) kill -9 "$victim"; break ;;
    esac
    printf '%s\n' "$line"
    case $line in
    *'"kind":"Node"'*) seen=$((seen + 1)) ;;
    esac
    if [ "$point" = first ] || { [ "$point" = last ] && [ "$seen" -ge "$nodes" ]; }; then
        kill -9 "$victim"
        break
    fi
done < "$folder/out"
wait "$victim"
status=$?
[ -z "$feeder" ] || kill "$feeder" 2> /dev/null || true
rm -r "$folder"
exit "$status"
"#;

/// Kills one step at each point, and runs the pipe again.
async fn killed(step: &str) {
    for point in ["first", "last", "end"] {
        let world = World::start(Shape::SMALL).await;
        let killer = world.scratch.write("killer", KILLER);
        let pipe = if step == "talos-seed" { seeds::pipe(&world) } else { World::pipe() };
        let steps = pipe.split(" | ").map(|command| match command.starts_with(step) {
            true => format!("sh {} {point} 3 {command}", killer.display()),
            false => command.to_owned(),
        });
        let steps: Vec<_> = steps.collect();
        let outcome = world.sh(&steps.join(" | ")).await;
        assert_ne!(outcome.status, 0, "{step} was killed at {point}, and the run says that all is well\n{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        world.up().await.exits(0);
        world.assert_up(&world.names());
    }
}

macro_rules! each_step {
    ($($name:ident: $at:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            killed(STEPS[$at]).await;
        }
    )*};
}

each_step! {
    a_killed_talos_image_is_never_mistaken_for_success: 0;
    a_killed_pve_vm_is_never_mistaken_for_success: 1;
    a_killed_talos_gen_is_never_mistaken_for_success: 2;
    a_killed_talos_seed_is_never_mistaken_for_success: 3;
    a_killed_talos_apply_is_never_mistaken_for_success: 4;
    a_killed_talos_bootstrap_is_never_mistaken_for_success: 5;
    a_killed_kubeconfig_export_is_never_mistaken_for_success: 6;
    a_killed_talos_wait_is_never_mistaken_for_success: 7;
}
