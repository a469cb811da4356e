// Function node "tell": the verdict, for the page on which it was asked.

const { device, verb, id, verdict, payload: reply } = msg;
return { payload: { verdict: { device, verb, id, word: verdict, message: reply.message, code: reply.code } } };
