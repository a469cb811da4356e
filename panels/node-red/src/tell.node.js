// Function node "tell": sends the verdict back to the page.

const { device, verb, id, verdict, payload: reply } = msg;
return { payload: { verdict: { device, verb, id, word: verdict, message: reply.message, code: reply.code } } };
