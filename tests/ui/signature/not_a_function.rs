// The attribute on something else.

use dotflow::action;

#[action]
struct Load {
    table: String,
}

fn main() {
    let _ = Load {
        table: "sales".into(),
    };
}
