// Live updates and keys. Every page works for reading without this file.
"use strict";
