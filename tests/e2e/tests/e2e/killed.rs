use crate::support::{STEPS, Shape, World};

/// Runs a step, and kills it at a point of its output: after its first record, or after its last node.
///
/// The third point is before its last line. That is written at once when the input has ended, so that the output comes
/// too late to tell: the step is killed when its input has come but for the last line. A step that reads a file has no
/// such input: its last line is then not passed on.
const KILLER: &str = r#"#!/bin/sh
point=$1 nodes=$2
shift 2
folder=$(mktemp -d)
mkfifo "$folder/in" "$folder/out"
exec 3<&0
case $point,$1 in
end,talos-image) "$@" > "$folder/out" & ;;
end,*) "$@" < "$folder/in" > "$folder/out" & ;;
*) "$@" <&3 > "$folder/out" & ;;
esac
victim=$!
feed() {
    while IFS= read -r line; do
        case $line in
        *'"end":true'*) kill -9 "$victim" ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
}
case $point,$1 in
end,talos-image) ;;
end,*) feed <&3 > "$folder/in" & ;;
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
rm -r "$folder"
exit "$status"
"#;

/// Kills one step at each point, and runs the pipe again.
async fn killed(step: &str) {
    for point in ["first", "last", "end"] {
        let world = World::start(Shape::SMALL).await;
        let killer = world.scratch.write("killer", KILLER);
        let pipe = World::pipe();
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
    a_killed_talos_apply_is_never_mistaken_for_success: 3;
    a_killed_talos_bootstrap_is_never_mistaken_for_success: 4;
    a_killed_kubeconfig_export_is_never_mistaken_for_success: 5;
    a_killed_talos_wait_is_never_mistaken_for_success: 6;
}
