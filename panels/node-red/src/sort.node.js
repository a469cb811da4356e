// Function node "sort": what the page wants to know (output 1), and what was pressed on it (output 2).

const { wants, press } = msg.payload ?? {};
if (wants) return [{ payload: { wants } }, null];
if (!press) return null;
const { device, verb, arguments: given, id, pressed_at } = press;
return [null, { device, verb, arguments: given, id, ts: pressed_at }];
