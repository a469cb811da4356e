// Function node "sort": output 1 is the page's request for data, output 2 is a command that was pressed.

const { wants, press } = msg.payload ?? {};
if (wants) return [{ payload: { wants } }, null];
if (!press) return null;
const { device, verb, arguments: given, id, pressed_at } = press;
return [null, { device, verb, arguments: given, id, ts: pressed_at }];
