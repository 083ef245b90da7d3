// One stream for all windows of a browser, which opens no more than six connections to a host.

import { serve } from "./stream_hub.js";

onconnect = (event) => serve(event.ports[0]);
