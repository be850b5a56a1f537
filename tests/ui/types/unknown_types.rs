// Types that do not exist are shown where they stand.

use dotflow::{PreviousContext, action};

#[action]
async fn load(table: Table, _: PreviousContext<Rows>) -> Result<Receipt, std::io::Error> {
    todo!()
}

fn main() {}
